"""`pushline data refresh`: has a source new data? Then `data.lock` is moved to it, for a pull request to show."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from pushline.data.checks.check_data import check_data
from pushline.data.contract import Contract
from pushline.data.files.version import table_of
from pushline.data.profile import load_profile
from pushline.data.profile.drift import Drift, drift_of
from pushline.data.sources.add import of_a_part, refuse_broken
from pushline.data.sources.download import TRUSTED, receive_all
from pushline.data.sources.fetch import place_of
from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, load_lock, renew_lock
from pushline.errors import DataUnavailable, GateClosed
from pushline.files import copy_atomically, scratch, sha256_of
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Finding, Part

FOLDER = "data-refresh"


class FileUpdate(Part, frozen=True, kw_only=True):
    """A pinned file whose source holds another table now."""

    name: str
    url: str
    before: str  # version
    after: str
    rows_before: int
    rows_after: int
    findings: tuple[Finding, ...]
    drift: Drift


class RefreshResult(Part, frozen=True, kw_only=True):
    """What the sources hold, against what is pinned."""

    before: str  # data version
    after: str
    renewed: tuple[FileUpdate, ...]
    unchanged: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.renewed)


def refresh(
    project: Project, contract: Contract, *, progress: Progress, leave: Callable[["RefreshResult"], None] = lambda seen: None
) -> RefreshResult:
    """Ask the sources of every pinned file, and move `data.lock` to what has changed there; `leave` writes that down before.

    Raises DataUnavailable where no source of a file answers, CriticalFindings where the new data breaks the contract, GateClosed
    where one file has other columns than the rest; the lock is then as it was.
    """
    lock = load_lock(project.data_lock)
    renewed: list[FileUpdate] = []
    files: list[PinnedFile] = []
    for pinned in lock.files:
        with scratch(project.state / "data-refresh") as folder:
            file, url = newest(pinned, folder, progress)
            seen = None if file is None or sha256_of(file) in pinned.hashes else table_of(file, contract.delimiter)
            if file is None or seen is None or seen.version == pinned.version:
                progress(f"{pinned.name}: unchanged")
                files.append(pinned)
                continue
            progress(f"{pinned.name}: {url} holds version {seen.version} with {seen.rows:,} rows now")
            checked = check_data(project.beside(folder), contract, file=file, fetched=None, progress=progress)
            refuse_broken(checked, file)
            moved = msgspec.structs.replace(
                pinned, version=seen.version, rows=seen.rows, columns=seen.columns, sources=(FileSource(url=url, sha256=seen.sha256),)
            )
            files.append(moved)
            renewed.append(
                FileUpdate(
                    name=pinned.name,
                    url=url,
                    before=pinned.version,
                    after=seen.version,
                    rows_before=pinned.rows,
                    rows_after=seen.rows,
                    findings=tuple(of_a_part(finding) for finding in checked.findings),
                    drift=drift_of(Path(checked.table), contract, load_profile(project.profile), pinned.name),
                )
            )
            copy_atomically(file, place_of(project.state / "cache", pinned.name, seen.sha256))
    after = msgspec.structs.replace(lock, files=tuple(files))
    refuse_other_columns(after, renewed)
    unchanged = tuple(pinned.name for pinned, new in zip(lock.files, files, strict=True) if pinned is new)
    refreshed = RefreshResult(before=lock.version, after=after.version, renewed=tuple(renewed), unchanged=unchanged)
    leave(refreshed)
    if renewed:
        renew_lock(project.data_lock, after.files)
    return refreshed


def refuse_other_columns(lock: DataLock, renewed: list[FileUpdate]) -> None:
    """Raises GateClosed where a file has gained or lost a column that the others have not."""
    each = [frozenset(file.columns) for file in lock.files]
    if odd := frozenset[str]().union(*each) - each[0].intersection(*each):
        raise GateClosed(
            f"{', '.join(one.name for one in renewed)} can't be moved to what its source holds: the files would have different columns.",
            why=f"They differ in {', '.join(sorted(odd)[:8])}. All files make one table.",
            do="Nothing was changed. Have the sources give the same columns, or take the odd file out of data.lock.",
        )


def newest(pinned: PinnedFile, folder: Path, progress: Progress) -> tuple[Path | None, str]:
    """What the first source that answers holds now; None for a file that has no address."""
    problems = []
    urls = [source.url for source in pinned.sources if source.url]
    for url in urls:
        file = folder / pinned.name
        file.unlink(missing_ok=True)
        try:
            receive_all(url, file, progress, TRUSTED)
        except DataUnavailable as error:
            problems.append(f"{error.what} {error.why}")
            continue
        return file, url
    if not urls:
        return None, ""
    raise DataUnavailable(
        f"No source of {pinned.name} answers.", why=" ".join(problems), do="Look whether the addresses in data.lock are still right."
    )
