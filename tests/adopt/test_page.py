"""The shell blocks of docs/adopt.md, one after the other, in a project of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from adopt.tables import orders
from command import QUICK, clean_environment, path_with_commands, put_venv
from pushline.project import Project

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_shell_block_of_the_page_works(repo: Path, project: Project, tmp_path: Path) -> None:
    frame = pd.read_csv(orders(tmp_path).file, dtype=str, keep_default_na=False).rename(columns={"returned": "churned"})
    frame.to_csv(project.root / "customers.csv", index=False)
    frame.drop(columns="street").to_csv(project.root / "customers-2027.csv", index=False)
    put_venv(project.root)
    environment = clean_environment({**QUICK, "PUSHLINE_TRAINING__LOCAL_BUDGET": "2s"})
    environment |= {f"GIT_{who}_{what}": "test@example.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment["PATH"] = path_with_commands()
    blocks = BLOCK.findall((repo / "docs" / "adopt.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 3
    # The environment is that of these tests: a lock that adopt has just written must not be installed into it.
    words = {"make test": ":  # that is what runs this", "make run": "touch .venv/.done\nmake run"}
    script = "\n".join(re.sub("make test|make run", lambda found: words[found[0]], block) for block in blocks)
    try:
        ran = subprocess.run(
            ["bash", "-euxo", "pipefail", "-c", script],
            cwd=project.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    finally:
        subprocess.run([sys.executable, "-m", "pushline", "stop"], cwd=project.root, env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    for part in ("Nothing was written.", "-  - name: street", "live at"):
        assert part in ran.stdout + ran.stderr
