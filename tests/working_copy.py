"""Copies of the checkout under test."""

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from pushline.data.sources.fetch import TABLES
from pushline.data.sources.lock import load_lock
from pushline.project import Project
from signed import trust

REPO = Path(__file__).resolve().parent.parent


def pinned_name() -> str:
    """What data.lock calls the (first) file of the data."""
    return load_lock(REPO / "data.lock").files[0].name


def find_real_data() -> Path | None:
    """The pinned file, where the repository, PUSHLINE_DATA or ../shared/data holds it."""
    said, name = os.environ.get("PUSHLINE_DATA"), pinned_name()
    for place in (REPO / TABLES, Path(said).resolve() if said else None, REPO.parent / "shared" / "data"):
        if place is not None and place.is_file() and place.name == name:
            return place
        if place is not None and (place / name).is_file():
            return place / name
    return None


def tracked_files(repo: Path) -> list[str]:
    """What git would commit: tracked files and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=repo, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (repo / name).is_file()]


def copy_project(repo: Path, to: Path, *, with_tests: bool = False) -> Project:
    """A fresh copy of the project as a git repository of one commit. The files of `src/` are links: whoever changes one, replaces it."""
    first = first_copy(repo, with_tests=with_tests)
    own = [str(entry) for entry in first.iterdir() if entry.name != "src"]
    subprocess.run(["cp", "-a", *own, str(to)], check=True)
    if subprocess.run(["cp", "-al", str(first / "src"), str(to)], capture_output=True, check=False).returncode:
        subprocess.run(["cp", "-a", str(first / "src"), str(to)], check=True)  # on another disk
    return Project(to)


@cache
def first_copy(repo: Path, *, with_tests: bool) -> Path:
    """The copy that the others of this process are made of."""
    to = Path(tempfile.mkdtemp(prefix="pushline-copy-"))
    atexit.register(shutil.rmtree, to, ignore_errors=True)
    for name in tracked_files(repo):
        if name.startswith("tests/") and not with_tests:
            continue
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repo / name, to / name)
    trust(to / "signers")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Start"], ["gc", "-q"]):
        git(*arguments, cwd=to)
    return to


def git(*arguments: str, cwd: Path) -> None:
    """Run git as a person who is known to it."""
    known = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *known, *arguments], cwd=cwd, check=True, capture_output=True)
