"""Fixtures that every room's tests share. What is expensive to make is made once per session."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pushline.project import Project

REPO = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repo() -> Path:
    """The checkout under test."""
    return REPO


def find_real_data() -> Path | None:
    """The real file, where PUSHLINE_DATA or ../shared/data holds it."""
    said = os.environ.get("PUSHLINE_DATA")
    for place in (Path(said).resolve() if said else None, REPO.parent / "shared" / "data"):
        if place is not None and place.is_file():
            return place
        if place is not None and (place / "bankmarketing_train.csv").is_file():
            return place / "bankmarketing_train.csv"
    return None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real Bank Marketing file; tests that need it skip where it isn't."""
    file = find_real_data()
    if file is None:
        pytest.skip("the Bank Marketing file is not on this machine: set PUSHLINE_DATA to it")
    return file


def tracked_files(repo: Path) -> list[str]:
    """What git would commit: tracked files and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=repo, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (repo / name).is_file()]


def copy_project(repo: Path, to: Path) -> Project:
    """A fresh copy of the project as a git repository of one commit."""
    for name in tracked_files(repo):
        if name.startswith("tests/"):
            continue
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repo / name, to / name)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        subprocess.run([*git, *arguments], cwd=to, check=True, capture_output=True)
    return Project(to)


@pytest.fixture
def project(repo: Path, tmp_path: Path) -> Project:
    """A fresh copy of the project, committed, without any state."""
    folder = tmp_path / "project"
    folder.mkdir()
    return copy_project(repo, folder)


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


def clean_environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The process's environment without settings of Pushline, quiet and warm-path independent."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PUSHLINE_", "MLFLOW_", "AZURE_", "GITHUB_"))}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "140", **(extra or {})}


def run_cli(
    project: Project, *arguments: str, env: dict[str, str] | None = None, timeout: float = 240, text_input: str | None = None
) -> Ran:
    """Run the real command line in a project, as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "pushline", *arguments],
        cwd=project.root,
        env=clean_environment(env),
        capture_output=True,
        text=True,
        timeout=timeout,
        input=text_input,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def run_pushline() -> Callable[..., Ran]:
    """Run the real command line: `run_pushline(project, "check-data", "f.csv")`."""
    return run_cli


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests read the settings of the project under test, not those of whoever runs them."""
    for name in list(os.environ):
        if name.startswith("PUSHLINE_") and name != "PUSHLINE_DATA":
            monkeypatch.delenv(name)
