"""The registry of the last delivery, brought to this run.

It travels as the artifact `registry`. Only one of a run counts that succeeded, on the default branch of this repository, of a workflow that
delivers: never one of a pull request or a fork. GitHub's digest of the artifact and the sha256 recorded inside are both checked.
"""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from pushline.errors import RegistryError
from pushline.files import remove, sha256_of
from pushline.github import gh
from pushline.project import Project
from pushline.registry import travel

ARTIFACT = "registry"
DELIVERING = tuple(f".github/workflows/{name}.yml" for name in ("deliver", "rollback", "retrain"))
LOOKED_AT = 50  # artifacts, newest first


class Restored(Struct, frozen=True, kw_only=True):
    """Where the registry of this run came from."""

    origin: str  # a run's id; empty: it begins anew
    reason: str


def restore(project: Project, tell: Callable[[str], None]) -> Restored:
    """Bring the newest registry: this delivery's own, or the last one's where another delivery ended in between."""
    own = travel.note_of(travel.folder_of(project))
    last, passed_over = newest(gh.repository(), tell)
    if own is not None and (last is None or str(last["workflow_run"]["id"]) in (own.based_on, own.run)):
        travel.unpack(project, travel.folder_of(project), origin=own.based_on)
        return Restored(origin=own.based_on, reason="the registry of this delivery")
    if last is None:
        reason = f"a first registry begins here: {passed_over}"
        tell(f"::warning title=Registry::{reason}" if passed_over else "No delivery has left a registry yet: a first one begins here.")
        return Restored(origin="", reason=reason)
    run = str(last["workflow_run"]["id"])
    if own is not None:
        tell(f"::notice title=Registry::Run {run} delivered meanwhile: its registry is taken, and the decision is made again.")
    place = project.build / "registry-of-last-run"
    fetch(gh.repository(), last, place)
    travel.unpack(project, place, origin=run)
    return Restored(origin=run, reason=f"the registry of run {run}")


def newest(repository: str, tell: Callable[[str], None]) -> tuple[dict[str, Any] | None, str]:
    """The newest artifact that counts, and why none does."""
    expired = 0
    for artifact in candidates(repository):
        if artifact["expired"]:
            expired += 1
            continue
        return artifact, ""
    return None, f"the {expired} registries of earlier deliveries have expired" if expired else ""


def candidates(repository: str) -> Iterator[dict[str, Any]]:
    default = gh.api(f"repos/{repository}")["default_branch"]
    listed = gh.api(f"repos/{repository}/actions/artifacts?name={ARTIFACT}&per_page={LOOKED_AT}")["artifacts"]
    for artifact in sorted(listed, key=lambda each: each["created_at"], reverse=True):
        of = artifact["workflow_run"]
        if of["head_branch"] != default or of["head_repository_id"] != of["repository_id"]:
            continue
        run = gh.api(f"repos/{repository}/actions/runs/{of['id']}")
        delivers = run["path"].split("@")[0] in DELIVERING and not run["event"].startswith("pull_request")
        if delivers and run["conclusion"] == "success":
            yield artifact


def fetch(repository: str, artifact: dict[str, Any], place: Path) -> None:
    """Download an artifact and unzip it into `place`. Raises RegistryError where GitHub's digest says otherwise."""
    file = place.with_suffix(".zip")
    gh.download(f"repos/{repository}/actions/artifacts/{artifact['id']}/zip", file)
    wanted = str(artifact.get("digest") or "").removeprefix("sha256:")
    seen = sha256_of(file)
    if seen != wanted:
        raise RegistryError(
            f"The registry of run {artifact['workflow_run']['id']} was changed on its way.",
            why=f"Its sha256 is {seen[:12]}; GitHub recorded {wanted[:12] or 'none'}.",
            do="Run the job again; if it happens again, look at who may write artifacts.",
        )
    remove(place)
    with zipfile.ZipFile(file) as archive:
        for name in (travel.ARCHIVE, travel.NOTE):
            archive.extract(name, place)
    file.unlink()
