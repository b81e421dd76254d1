"""Copies of the checkout under test."""

import os
import shutil
import subprocess
from pathlib import Path

from pushline.project import Project

REPO = Path(__file__).resolve().parent.parent


def find_real_data() -> Path | None:
    """The real file, where PUSHLINE_DATA or ../shared/data holds it."""
    said = os.environ.get("PUSHLINE_DATA")
    for place in (Path(said).resolve() if said else None, REPO.parent / "shared" / "data"):
        if place is not None and place.is_file():
            return place
        if place is not None and (place / "bankmarketing_train.csv").is_file():
            return place / "bankmarketing_train.csv"
    return None


def tracked_files(repo: Path) -> list[str]:
    """What git would commit: tracked files and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=repo, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (repo / name).is_file()]


def copy_project(repo: Path, to: Path, *, with_tests: bool = False) -> Project:
    """A fresh copy of the project as a git repository of one commit."""
    for name in tracked_files(repo):
        if name.startswith("tests/") and not with_tests:
            continue
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repo / name, to / name)
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"]):
        git(*arguments, cwd=to)
    return Project(to)


def git(*arguments: str, cwd: Path) -> None:
    """Run git as a person who is known to it."""
    known = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *known, *arguments], cwd=cwd, check=True, capture_output=True)
