"""The files of GitHub Actions: what two linters and GitHub's own schemas say of them, and that nobody can exchange what they use."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from repository.conftest import ROOT

WORKFLOWS = [str(file) for file in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
ACTIONS = [str(file) for file in sorted((ROOT / ".github" / "actions").glob("*/action.yml"))]


@pytest.mark.parametrize(
    "linter",
    [
        ("actionlint", *WORKFLOWS),
        ("zizmor", "--offline", "--pedantic", ".github"),
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS),
        ("check-jsonschema", "--builtin-schema", "vendor.github-actions", *ACTIONS),
        ("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"),
    ],
    ids=["actionlint", "zizmor", "workflows", "actions", "dependabot"],
)
def test_a_linter_finds_nothing(linter: tuple[str, ...]) -> None:
    program = str(Path(sys.executable).with_name(linter[0]))
    done = subprocess.run([program, *linter[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda file: "/".join(Path(file).parts[-2:]))
def test_every_action_of_others_is_pinned_to_a_commit(file: str) -> None:
    used = re.findall(r"uses: +([^\s#]+)", Path(file).read_text(encoding="utf-8"))
    assert [name for name in used if not name.startswith("./") and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name)] == []
