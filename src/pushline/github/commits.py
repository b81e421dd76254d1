"""Whether a newer commit than the checkout's is released already, so that a delivery which took longer never displaces it."""

import subprocess

from pushline.github.actions import inside
from pushline.project import Project

RELEASED_FROM = "released_from"  # tag of a model version: the commit whose delivery released it


def outdated(project: Project, champion_tags: dict[str, str] | None) -> str:
    """Why a job's model may not replace the champion, whatever its figures; empty where it may, and outside jobs.

    A person who checks an older commit out on a machine of theirs means it; a job of an older push has only taken longer.
    """
    released = (champion_tags or {}).get(RELEASED_FROM) or (champion_tags or {}).get("git_revision", "")
    here = project.git_revision.removesuffix("-dirty")
    if not inside() or not is_older(project, here, released.removesuffix("-dirty")):
        return ""
    return f"the commit {released}, which is released, is newer than this one ({here})"


def is_older(project: Project, commit: str, other: str) -> bool:
    """True where `other` builds on `commit`. False also for a commit that the history does not hold: that of a branch given up."""
    if not other or other == commit:
        return False
    asked = ["git", "merge-base", "--is-ancestor", commit, other]
    return subprocess.run(asked, cwd=project.root, capture_output=True, timeout=60, check=False).returncode == 0
