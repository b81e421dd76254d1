"""`pushline data add`: new data is held to the contract and the profile, compared with what is pinned, and pinned.

`pushline data refresh`: has a source new data? Then `data.lock` is moved to it, for a pull request to show.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from pushline.data.checks.check_data import check_data
from pushline.data.contract import Contract
from pushline.data.files.reading import Reading, lines_of, read_file
from pushline.data.files.table import database, literal, name_of
from pushline.data.files.version import table_of
from pushline.data.profile import load_profile
from pushline.data.profile.drift import Drift, drift_of
from pushline.data.sources.download import TRUSTED, permit, receive_all
from pushline.data.sources.fetch import TABLES, DataLocations, place_of
from pushline.data.sources.lock import DataLock, FileSource, PinnedFile, append_to_lock, load_lock, renew_lock
from pushline.errors import CriticalFindings, DataUnavailable, GateClosed, SettingsError
from pushline.files import copy_atomically, scratch, sha256_of
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import CheckDataResult, DataFile, Finding, Part

WHOLE = ("rows", "class-balance")  # what is asked of all the data, not of each addition to it
FIRST = 20
FOLDER = "data-refresh"


class Overlap(Part, frozen=True, kw_only=True):
    """Rows of the new file that a pinned file holds already."""

    file: str
    rows: int
    lines: tuple[int, ...]  # of the new file, the first ones
    other_label: int  # rows that it holds with another label


class AddResult(Part, frozen=True, kw_only=True):
    """What `pushline data add` found and did."""

    file: PinnedFile
    before: str  # data version
    after: str
    rows_before: int
    rows_after: int
    findings: tuple[Finding, ...]
    overlaps: tuple[Overlap, ...]
    drift: Drift


def add(
    project: Project,
    contract: Contract,
    said: str,
    *,
    name: str,
    url: str,
    local: Path | None,
    progress: Progress,
    leave: Callable[["AddResult"], None] = lambda added: None,
) -> AddResult:
    """Pin the file or address `said` behind the files of `data.lock`.

    `name`: to call it, by default its own; `url`: where others find these bytes, by default `said` itself if it is an
    https address; `local`: PUSHLINE_DATA; `leave`: writes what was found, before the lock moves.

    Raises GateClosed for a duplicate, CriticalFindings for a file that breaks the
    contract, DataUnavailable where it or the pinned data can't be had; the lock is then as it was.
    """
    lock = load_lock(project.data_lock)
    if url:
        permit(url, TRUSTED)
    with scratch(project.state / "data-add") as folder:
        file = at_hand(said, folder)
        seen = table_of(file, contract.delimiter)
        address = url or (said if said.startswith("https://") else "")
        pinned = PinnedFile(
            name=name or file.name,
            version=seen.version,
            rows=seen.rows,
            columns=seen.columns,
            sources=(FileSource(url=address, sha256=seen.sha256),),
        )
        refuse_twice(lock, pinned)
        checked = check_data(project.beside(folder), contract, file=file, fetched=None, progress=progress)
        refuse_broken(checked, file)
        places = DataLocations(project.state / "cache", local, contract.delimiter, progress, own=project.root / TABLES)
        reading = read_file(file, contract, folder, folder / "new.parquet")
        compared = (overlap_with(places.get(each), reading, contract, folder) for each in lock.files)
        overlaps = tuple(overlap for overlap in compared if overlap)
        if whole := next((overlap for overlap in overlaps if overlap.rows >= pinned.rows), None):
            raise GateClosed(
                f"{pinned.name} holds nothing new.",
                why=f"All its {pinned.rows:,} rows are in {whole.file} already.",
                do="Nothing was changed. Add other data.",
            )
        drift = drift_of(Path(checked.table), contract, load_profile(project.profile), pinned.name)
        copy_atomically(file, place_of(project.state / "cache", pinned.name, seen.sha256))
    after = DataLock(files=(*lock.files, pinned))
    added = AddResult(
        file=pinned,
        before=lock.version,
        after=after.version,
        rows_before=lock.rows,
        rows_after=after.rows,
        findings=tuple(of_a_part(finding) for finding in checked.findings),
        overlaps=overlaps,
        drift=drift,
    )
    leave(added)
    append_to_lock(project.data_lock, pinned)
    return added


def at_hand(said: str, folder: Path) -> Path:
    """The file of a path or an address; what comes from an address is put into `folder`."""
    if "://" not in said:
        file = Path(said)
        if not file.is_file():
            raise DataUnavailable(f"{said} does not exist.", do="Name a CSV or Parquet file, or an address of one.")
        return file.resolve()
    name = said.split("?")[0].rstrip("/").rpartition("/")[2]
    file = folder / (name or "data.csv")
    if said.startswith(("http://", "https://")):
        permit(said, TRUSTED)
        receive_all(said, file, lambda line: None, TRUSTED)
        return file
    import fsspec

    try:
        with fsspec.open(said, "rb") as stream, file.open("wb") as out:
            shutil.copyfileobj(stream, out)
    except (OSError, ValueError, ImportError) as error:
        raise DataUnavailable(f"{said} can't be read.", why=f"{error}.", do="Check the address and your rights to it.") from error
    return file


def refuse_twice(lock: DataLock, pinned: PinnedFile) -> None:
    """Raises GateClosed for a table that is pinned already, SettingsError for a name that is taken or can't be one."""
    try:
        msgspec.convert(msgspec.to_builtins(pinned), PinnedFile)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{pinned.name!r} can't be pinned.", why=f"{error}.", do="Call it otherwise: --name NAME.") from error
    for each in lock.files:
        if each.version == pinned.version:
            raise GateClosed(
                f"{pinned.name} is in data.lock already, as {each.name}.",
                why=f"Both are version {each.version} with {each.rows:,} rows.",
                do="Nothing was changed. Add other data.",
            )
    if pinned.name in [each.name for each in lock.files]:
        raise SettingsError(
            f"data.lock holds another file named {pinned.name}.",
            why="Files are told apart by name.",
            do="Call this one otherwise: --name NAME.",
        )
    if set(pinned.columns) != set(lock.files[0].columns):
        odd = sorted(set(pinned.columns) ^ set(lock.files[0].columns))
        raise GateClosed(
            f"{pinned.name} has other columns than the pinned data.",
            why=f"They differ in {', '.join(odd[:8])}.",
            do="All files make one table: give it the same columns. `pushline check-data FILE` says more.",
        )


def of_a_part(finding: Finding) -> Finding:
    """A finding about too few rows or too few of a class says nothing against an addition."""
    return msgspec.structs.replace(finding, severity="info") if finding.id in WHOLE else finding


def refuse_broken(checked: CheckDataResult, file: Path) -> None:
    """Raises CriticalFindings for a file that breaks the contract."""
    critical = [finding for finding in map(of_a_part, checked.findings) if finding.severity == "critical"]
    if not critical and checked.table:
        return
    first = critical[0] if critical else checked.findings[0]
    lines = f" (lines {', '.join(map(str, first.lines[:5]))})" if first.lines else ""
    raise CriticalFindings(
        f"{file.name} was not added: {len(critical)} critical finding{'s' * (len(critical) != 1)}.",
        why=f"{first.message}{lines}",
        do=f"Nothing was changed. `pushline check-data {file}` lists all findings.",
    )


def overlap_with(pinned: DataFile, new: Reading, contract: Contract, folder: Path) -> Overlap | None:
    """The rows of `new` that a pinned file holds: in all columns, or in all but the label."""
    old = read_file(Path(pinned.path), contract, folder, folder / "old.parquet").parts
    if old is None or new.parts is None:
        return None
    everything = ", ".join(name_of(column.name) for column in contract.columns)
    inputs = ", ".join(name_of(column.name) for column in contract.inputs)
    before, after = (f"read_parquet({literal(str(part))}, file_row_number=true)" for part in (old, new.parts))
    with database() as connection:
        found = connection.execute(
            f"SELECT file_row_number, hash({everything}) IN (SELECT hash({everything}) FROM {before}) AS whole FROM {after} "
            f"WHERE hash({inputs}) IN (SELECT hash({inputs}) FROM {before}) ORDER BY 1"
        ).fetchall()
    if not found:
        return None
    same = [int(row) for row, whole in found if whole]
    _, lines = lines_of([new.source], same[:FIRST])
    return Overlap(file=pinned.name, rows=len(same), lines=lines, other_label=len(found) - len(same))


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
