"""The registry of the last delivery, brought to this run.

Two artifacts carry it. `registry` is kept by a job that has released or rolled back; those jobs run one at a time, so the newest is what
users got last. `challenger` is kept after train and register, by deliveries that may run side by side; that of a delivery which ended
without a release is taken up where it continues that newest release, so a rejected version keeps its number. One that does not is
left behind: it never hides a release. `github/runs.py` says which runs count; GitHub's digest of an artifact and the sha256 recorded
inside it are both checked.
"""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from pushline.errors import RegistryError
from pushline.files import remove, sha256_of
from pushline.github import gh, runs
from pushline.progress import Progress
from pushline.project import Project
from pushline.registry import travel

ArchiveKind = Literal["registry", "challenger"]


class RestoreResult(Struct, frozen=True, kw_only=True):
    """Where the registry of this run came from."""

    origin: str  # a run's id; empty: it begins anew
    reason: str


class Artifact(Struct, frozen=True, kw_only=True):
    """A registry that a run left on GitHub."""

    id: int
    run: str
    created_at: str
    expired: bool
    digest: str


def restore(project: Project, progress: Progress, *, begin: bool = False) -> RestoreResult:
    """Bring the newest registry: this delivery's own, or the last one's where another delivery ended in between.

    Raises RegistryError where deliveries were made and none has left one that is still there, unless told to `begin` anew.
    """
    here, this_run = runs.home(), os.environ.get("GITHUB_RUN_ID", "")
    place = project.build / "registry-of-last-run"
    own = travel.note_of(travel.folder_of(project))
    last = newest(here, place, but=this_run)
    if own is not None and own.run == this_run and (last is None or last.run == own.based_on):
        travel.unpack(project, travel.folder_of(project), origin=own.based_on)
        return RestoreResult(origin=own.based_on, reason="the registry of this delivery")
    if last is None:
        return first(here, this_run, progress, begin=begin)
    if own is not None and own.run != last.run:
        progress(f"::notice title=Registry::Run {last.run} delivered meanwhile: its registry is taken, and the decision is made again.")
    travel.unpack(project, place, origin=last.run)
    return RestoreResult(origin=last.run, reason=f"the registry of run {last.run}")


def first(here: runs.Home, this_run: str, progress: Progress, *, begin: bool) -> RestoreResult:
    """Begin without a registry. Raises RegistryError where there must have been one."""
    before = runs.delivered_before(here, but=this_run)
    if before is None:
        return RestoreResult(origin="", reason="none yet: no delivery has ended before, and a first registry begins here")
    gone = f"run {before['id']} ended well, and its registry has expired or was deleted"
    if not begin:
        raise RegistryError(
            "The registry of the deliveries before is gone.",
            why=f"{gone[0].upper()}{gone[1:]}: which version is the champion can't be known.",
            do="To begin anew, run deliver.yml by hand with `registry: begin`: the next model has to meet the floor, as a first one.",
        )
    reason = f"a first registry begins here: {gone}"
    progress(f"::warning title=Registry::{reason}")
    return RestoreResult(origin="", reason=reason)


def newest(here: runs.Home, place: Path, *, but: str) -> Artifact | None:
    """The registry to go on with, downloaded to `place`; None where there is none.

    That is the newest of a release, or of a later challenger that continues it.
    """
    released = next(left_by_runs(here, "registry"), None)
    since = released.created_at if released else ""
    for challenger in left_by_runs(here, "challenger", but=but, since=since):
        download(here, challenger, place)
        note = travel.note_of(place)
        if note is not None and note.release == (released.run if released else ""):
            return challenger
    if released is None:
        return None
    download(here, released, place)
    return released if travel.note_of(place) else None


def left_by_runs(here: runs.Home, kind: ArchiveKind, *, but: str = "", since: str = "") -> Iterator[Artifact]:
    """Artifacts of runs that count and that are still there, newest first; those made before `since` are left out.

    A challenger's run has to have ended well. A release is on record from the moment it is kept, however its run ends.
    """
    listed = gh.listed(f"{here.path}/actions/artifacts?name={kind}&per_page=100", "artifacts")
    for each in sorted(listed, key=lambda each: each["created_at"], reverse=True):
        of, artifact = each["workflow_run"], artifact_of(each)
        strange = of.get("head_repository_id") != here.id or of["head_branch"] != here.default_branch
        if strange or artifact.expired or artifact.created_at < since or artifact.run == but:
            continue  # without a question to GitHub for each: strangers may leave any number
        run = gh.api(f"{here.path}/actions/runs/{artifact.run}")
        if (kind == "registry" or run["conclusion"] == "success") and not runs.refusal(run, here, runs.RELEASING):
            yield artifact


def artifact_of(said: dict[str, Any]) -> Artifact:
    return Artifact(
        id=said["id"],
        run=str(said["workflow_run"]["id"]),
        created_at=said["created_at"],
        expired=said["expired"],
        digest=str(said.get("digest") or "").removeprefix("sha256:"),
    )


def download(here: runs.Home, artifact: Artifact, place: Path) -> None:
    """Download an artifact and unzip it into `place`. Raises RegistryError where GitHub's digest says otherwise."""
    file = place.with_suffix(".zip")
    gh.download(f"{here.path}/actions/artifacts/{artifact.id}/zip", file)
    seen = sha256_of(file)
    if seen != artifact.digest:
        raise RegistryError(
            f"The registry of run {artifact.run} was changed on its way.",
            why=f"Its sha256 is {seen[:12]}; GitHub recorded {artifact.digest[:12] or 'none'}.",
            do="Run the job again; if it happens again, look at who may write artifacts.",
        )
    remove(place)
    with zipfile.ZipFile(file) as archive:
        for name in {travel.ARCHIVE, travel.NOTE} & set(archive.namelist()):  # none where the registry lived elsewhere then
            archive.extract(name, place)
    file.unlink()
