import re
import subprocess
import sys
from pathlib import Path

import pytest

from pushline.project import Project

pytestmark = pytest.mark.slow  # `make check` looks at the same


def generate(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "scripts/generate_docs.py", *options], cwd=root, capture_output=True, text=True, check=False)


def test_what_the_documentation_takes_from_the_program_is_up_to_date(repo: Path) -> None:
    ran = generate(repo, "--check")
    assert (ran.returncode, ran.stdout) == (0, "")


def test_a_page_that_is_out_of_date_is_named_and_made_anew(project: Project) -> None:
    page = project.root / "docs" / "contract.md"
    written = page.read_text()
    page.write_text(re.sub(r"\| `rows_at_least` .*\n", "", written))
    refused = generate(project.root, "--check")
    assert refused.returncode == 1
    assert "docs/contract.md is out of date" in refused.stdout
    assert generate(project.root).returncode == 0
    assert page.read_text() == written
