"""What git can bring back. Adopt replaces and removes such files only, whatever git ignores or is told to overlook."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from pushline.errors import SettingsError


def committed(root: Path, commit: str = "HEAD") -> dict[str, str]:
    """The blob of each file below `root` in a commit, by path; empty where there is no commit."""
    asked = subprocess.run(["git", "ls-tree", "-r", "-z", commit], cwd=root, capture_output=True, check=False)
    entries = asked.stdout.decode("utf-8", errors="surrogateescape").split("\0")
    return {path: head.split()[2] for head, _, path in (entry.partition("\t") for entry in entries if entry)}


def unsaved(root: Path, paths: Iterable[str]) -> list[str]:
    """Those of the files that no commit holds as they are: changed, new, ignored, or hidden from `git status`.

    Raises SettingsError where there is no commit.
    """
    blobs = committed(root)
    if not blobs:
        raise SettingsError(
            "adopt works inside a git repository with a commit only.",
            why="It replaces files, and git is how they can be brought back.",
            do="Run `git init`, `git add -A` and `git commit`, then the same command again.",
        )
    there = [path for path in paths if (root / path).is_file()]
    known = [path for path in there if path in blobs]
    now = dict(zip(known, blobs_of(root, known), strict=True))
    return [path for path in there if path not in blobs or now[path] != blobs[path]]


def blobs_of(root: Path, paths: list[str]) -> list[str]:
    """What git would call the files' contents if it took them in now."""
    if not paths:
        return []
    ran = subprocess.run(["git", "hash-object", "--", *paths], cwd=root, capture_output=True, text=True, check=True)
    return ran.stdout.split()


def is_kept_out(root: Path, path: str) -> bool:
    """Whether `git add -A` would pass a file by."""
    return subprocess.run(["git", "check-ignore", "-q", "--", path], cwd=root, capture_output=True, check=False).returncode == 0
