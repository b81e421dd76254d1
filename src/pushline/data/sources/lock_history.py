"""What `data.lock` holds, and how it differs from another commit's: going back is a git revert."""

import subprocess
from pathlib import Path

from pushline.data.contract import Contract
from pushline.data.profile.drift import Drift, drift_of_file
from pushline.data.sources.download import TRUSTED, Terms
from pushline.data.sources.fetch import TABLES, DataLocations, place_of
from pushline.data.sources.lock import DataLock, PinnedFile, load_lock, parse_lock
from pushline.errors import DataUnavailable, SettingsError
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Part


class LockListing(Part, frozen=True, kw_only=True):
    """The lock, and which of its files are on this machine already."""

    data_version: str
    rows: int
    files: tuple[PinnedFile, ...]
    cached: tuple[str, ...]  # names


class LockDiff(Part, frozen=True, kw_only=True):
    """From one lock to another."""

    against: str  # what the lock was compared with
    before: str  # data version
    after: str
    rows_before: int
    rows_after: int
    added: tuple[PinnedFile, ...]
    removed: tuple[PinnedFile, ...]
    replaced: tuple[PinnedFile, ...]  # same name, another table; as they are now
    drift: tuple[Drift, ...]  # of the added and replaced files that could be had


def listed(project: Project) -> LockListing:
    lock = load_lock(project.data_lock)
    cache = project.state / "cache"
    here = tuple(file.name for file in lock.files if any(place_of(cache, file.name, sha256).is_file() for sha256 in file.hashes))
    return LockListing(data_version=lock.version, rows=lock.rows, files=lock.files, cached=here)


def lock_of(project: Project, revision: str) -> DataLock:
    """The lock of a git revision. Raises SettingsError where there is no such revision, or it holds no lock."""
    shown = subprocess.run(
        ["git", "show", "--end-of-options", f"{revision}:./{project.data_lock.name}"],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if shown.returncode:
        raise SettingsError(
            f"git has no {project.data_lock.name} of {revision}.",
            why=(shown.stderr.strip().splitlines() or ["It said nothing more."])[-1],
            do="Name a commit, a branch or a tag that holds one.",
        )
    return parse_lock(shown.stdout, f"{project.data_lock.name} of {revision}")


def moved(
    project: Project, contract: Contract, revision: str, *, local: Path | None, progress: Progress, terms: Terms = TRUSTED
) -> LockDiff:
    """What changed from the lock of `revision` to the one in the work tree, with the drift of what is new.

    `local`: PUSHLINE_DATA; `terms`: what a source may be. A new file that can't be had here is told of and has no drift.
    """
    old, new = lock_of(project, revision), load_lock(project.data_lock)
    before = {file.name: file for file in old.files}
    after = {file.name: file for file in new.files}
    added = tuple(file for file in new.files if file.name not in before)
    replaced = tuple(file for file in new.files if file.name in before and before[file.name].version != file.version)
    places = DataLocations(project.state / "cache", local, contract.delimiter, progress, terms, own=project.root / TABLES)
    drift = []
    for file in (*added, *replaced):
        try:
            drift.append(drift_of_file(project, contract, Path(places.get(file).path)))
        except DataUnavailable as error:
            progress(f"no drift of {file.name}: {error.what} {error.why}")
    return LockDiff(
        against=revision,
        before=old.version,
        after=new.version,
        rows_before=old.rows,
        rows_after=new.rows,
        added=added,
        removed=tuple(file for file in old.files if file.name not in after),
        replaced=replaced,
        drift=tuple(drift),
    )
