"""A change of the repository's files as a pull request, made with git and gh only."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from pushline.errors import SettingsError, TargetError
from pushline.github import gh

T = TypeVar("T")
AUTHOR = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


class PullRequest(Struct, frozen=True, kw_only=True):
    """A pull request that is open."""

    branch: str
    url: str
    created: bool  # False: it was there
    number: int


def propose(root: Path, files: Sequence[Path], *, branch: str, title: str, body: str) -> PullRequest:
    """Commit `files` on `branch` from the checkout's commit, push it, and open a pull request or bring the open one up to date.

    The checkout's own branch stays where it is. Raises TargetError with what git or GitHub said.
    """
    names = [str(file.relative_to(root)) for file in files]
    identity = ("-c", f"user.name={AUTHOR[0]}", "-c", f"user.email={AUTHOR[1]}")
    git(root, "add", "--", *names)
    tree = git(root, "write-tree")
    commit = git(root, *identity, "commit-tree", tree, "-p", "HEAD", "-m", title)
    git(root, "reset", "--quiet", "--", *names)
    signed_in = ("-c", "credential.helper=", "-c", "credential.helper=!gh auth git-credential")
    git(root, *signed_in, "push", "--force", "--quiet", "origin", f"{commit}:refs/heads/{branch}")
    repository = gh.repository()
    if there := open_of(branch):
        gh.api(f"repos/{repository}/pulls/{there.number}", method="PATCH", body={"title": title, "body": body})
        return there
    base = gh.api(f"repos/{repository}")["default_branch"]
    try:
        made = gh.api(f"repos/{repository}/pulls", method="POST", body={"title": title, "body": body, "head": branch, "base": base})
    except gh.Forbidden as error:
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        raise TargetError(
            f"The branch {branch} is pushed, and this token may open no pull request.",
            why=error.why,
            do=f"Open it at {server}/{repository}/compare/{base}...{branch}?expand=1: the next run finds it and keeps it up to date. An "
            "owner of the organisation may let workflows open it (Settings, Actions, General).",
        ) from error
    return PullRequest(branch=branch, url=made["html_url"], created=True, number=made["number"])


def left_in(place: Path, kind: type[T], command: str) -> tuple[T, str]:
    """What a command left to be proposed, and its summary. Raises SettingsError where it left nothing."""
    try:
        return msgspec.json.decode((place / "result.json").read_bytes(), type=kind), (place / "summary.md").read_text(encoding="utf-8")
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError("There is nothing to propose.", why=f"{error}.", do=f"Run `{command}` first.") from error


def open_of(branch: str) -> PullRequest | None:
    """The open pull request of a branch of this repository."""
    repository = gh.repository()
    found = gh.api(f"repos/{repository}/pulls?state=open&head={repository.split('/', 1)[0]}:{branch}")
    return PullRequest(branch=branch, url=found[0]["html_url"], created=False, number=found[0]["number"]) if found else None


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        verb = next(argument for argument in arguments if not argument.startswith(("-", "user.", "credential.")))
        raise TargetError(
            f"git {verb} failed.",
            why=done.stderr.strip() or done.stdout.strip(),
            do="Look whether the job may write contents and pull requests, then run it again.",
        )
    return done.stdout.strip()
