"""An older commit whose delivery took longer never displaces a newer one that is released."""

import subprocess
from pathlib import Path

import pytest

from pushline.github.commits import outdated
from pushline.project import Project


def git(place: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
    return subprocess.run(["git", *identity, *arguments], cwd=place, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """old - here - new on main, and side beside them; the checkout is at `here`."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    git(tmp_path, "init", "-q", "-b", "main")
    found = {}
    for name in ("old", "here", "new"):
        git(tmp_path, "commit", "-q", "--allow-empty", "-m", name)
        found[name] = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    git(tmp_path, "checkout", "-q", "-b", "side", found["old"])
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "side")
    found["side"] = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    git(tmp_path, "checkout", "-q", "--detach", found["here"])
    return found


@pytest.mark.parametrize(("released", "refused"), [("old", False), ("here", False), ("side", False), ("new", True)])
def test_a_job_gives_way_to_a_newer_commit_alone(released: str, refused: bool, commits: dict[str, str], tmp_path: Path) -> None:
    assert bool(outdated(Project(tmp_path), {"git_revision": commits[released]})) is refused


def test_what_counts_is_the_commit_that_was_released_not_the_one_that_trained(commits: dict[str, str], tmp_path: Path) -> None:
    """A commit that changes nothing of training is released with the model of the one before."""
    why = outdated(Project(tmp_path), {"git_revision": commits["old"], "released_from": commits["new"]})
    assert commits["new"] in why
    assert commits["here"] in why


def test_a_commit_that_the_history_does_not_hold_stops_nobody_for_ever(commits: dict[str, str], tmp_path: Path) -> None:
    for tags in (None, {}, {"git_revision": "unknown"}, {"git_revision": "0123456789ab"}):
        assert outdated(Project(tmp_path), tags) == ""


def test_a_person_who_checks_an_older_commit_out_means_it(commits: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert outdated(Project(tmp_path), {"git_revision": commits["new"]}) == ""
