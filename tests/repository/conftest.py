"""A copy of the repository to run commands in, so that no test touches a live service or an earlier result."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Pushline = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = {"PUSHLINE_SERVING__PORT": "0", "PUSHLINE_LOAD__SECONDS": "3", "PUSHLINE_LOAD__P95_MS": "2000", "PUSHLINE_LOAD__P99_MS": "4000"}


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git would commit, without these tests."""
    to = tmp_path_factory.mktemp("repository")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if name and (ROOT / name).is_file() and not name.startswith(("tests/", "vendor/", "docs/")):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    subprocess.run(["git", "init", "-q"], cwd=to, check=True)
    return to


@pytest.fixture(scope="session")
def pushline(copy: Path) -> Pushline:
    """Runs a command of Pushline in the copy."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pushline", *arguments]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PUSHLINE_", "GITHUB_", "AZURE_", "MLFLOW_"))}
        kept |= {name: os.environ[name] for name in ("PUSHLINE_DATA",) if name in os.environ}
        variables = {**kept, "NO_COLOR": "1", **QUICK, **environment}
        return subprocess.run(command, cwd=copy, env=variables, capture_output=True, text=True, timeout=280, check=False)

    return run


@pytest.fixture(scope="session")
def made(copy: Path, pushline: Pushline) -> Path:
    """Rows like those of the table, none of them its own."""
    ran = pushline("sample", "--rows", "2000", "--out", "made.csv")
    assert ran.returncode == 0, ran.stderr
    return copy / "made.csv"
