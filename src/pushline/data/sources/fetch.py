"""The pinned data on this machine: from the cache, from PUSHLINE_DATA, or from the sources that `data.lock` lists."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from pushline.data.contract import Contract, load_contract
from pushline.data.files.version import Table, table_of
from pushline.data.sources.download import TRUSTED, Terms, download
from pushline.data.sources.lock import DataLock, PinnedFile, load_lock
from pushline.errors import DataCorrupt, DataUnavailable
from pushline.files import read_json, sha256_of, write_json
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import DataFile, FetchResult

TABLES = "data"  # the folder of the repository for tables that may be in git
SAMPLE = "generated-sample.csv"
TABLE = "table.json"
SAMPLE_SEED = 7
WAYS_OUT = (
    "Set PUSHLINE_DATA to the file or its folder, or run again where the sources can be reached. "
    "`--sample-if-offline` goes on with generated rows instead."
)


def fetch(
    project: Project,
    *,
    local: Path | None,
    sample_if_offline: bool,
    progress: Progress,
    sample: bool = False,
    terms: Terms = TRUSTED,
    in_vain: Callable[[], str] = lambda: "",
) -> FetchResult:
    """Every file of `data.lock`, verified; or generated rows where `sample` asks for them.

    `local` is a file or folder to look in before downloading, `terms` what a source may be. Raises DataUnavailable where
    no source gives a file (or, with `sample_if_offline`, returns generated rows and says so, unless `in_vain` has a reason
    why nothing could come of them), DataCorrupt where one gives other bytes.
    """
    lock, contract = load_lock(project.data_lock), load_contract(project.contract)
    if sample:
        return generated(project, contract, lock, "This run was asked for generated rows.", progress)
    places = DataLocations(project.state / "cache", local, contract.delimiter, progress, terms, own=project.root / TABLES)
    try:
        files = tuple(places.get(pinned) for pinned in lock.files)
    except DataUnavailable as error:
        if not sample_if_offline:
            raise
        if reason := in_vain():
            ways = error.do.split(" `--")[0]
            do = f"{ways} `--sample` rehearses with generated rows all the same."
            raise DataUnavailable(error.what, why=f"{error.why} Generated rows would be in vain: {reason}.", do=do) from error
        return generated(project, contract, lock, f"The pinned data can't be had here. {error.what} {error.why}", progress)
    return FetchResult(data_version=lock.version, files=files, rows=lock.rows, columns=len(lock.files[0].columns))


class DataLocations(Struct):
    """Where a pinned file may be, from the nearest to the farthest."""

    cache: Path
    local: Path | None
    delimiter: str
    progress: Progress
    terms: Terms = TRUSTED
    own: Path | None = None  # the repository's own folder of tables
    astray: str = ""  # why the place that PUSHLINE_DATA names did not give a file

    def get(self, pinned: PinnedFile) -> DataFile:
        """The file, from the nearest place that has it."""
        found = self.committed(pinned) or self.cached(pinned) or self.at_hand(pinned) or self.downloaded(pinned)
        self.progress(f"{pinned.name}: {pinned.rows:,} rows, version {pinned.version}, from {found.origin}")
        return found

    def cached(self, pinned: PinnedFile) -> DataFile | None:
        """The file from the cache; a copy that was damaged there is left out."""
        for sha256 in pinned.hashes:
            file = place_of(self.cache, pinned.name, sha256)
            if not file.is_file():
                continue
            if sha256_of(file) == sha256:
                return self.verified(pinned, file, sha256, "cache")
            self.progress(f"{file} is damaged and will be replaced")
            file.unlink()
        return None

    def committed(self, pinned: PinnedFile) -> DataFile | None:
        """The file from the repository itself. Raises DataCorrupt where the one there holds another table than the lock pins."""
        file = self.own / pinned.name if self.own else None
        if file is None or not file.is_file():
            return None
        sha256 = sha256_of(file)
        if sha256 not in pinned.hashes:  # a checkout may have given it other line ends
            refuse_other(pinned, file, table_of(file, self.delimiter))
            return described(pinned, file.resolve(), sha256, f"{TABLES}/")
        return self.verified(pinned, file.resolve(), sha256, f"{TABLES}/")

    def at_hand(self, pinned: PinnedFile) -> DataFile | None:
        """The file from the place PUSHLINE_DATA names; another table there is refused, for somebody meant it to be used."""
        local = self.local
        if local is None:
            return None
        file = local / pinned.name if local.is_dir() else local
        if not file.is_file():
            found = f"holds no {pinned.name}" if local.exists() else "does not exist"
            self.astray = f"PUSHLINE_DATA names {local}, which {found}."
            self.progress(self.astray.rstrip("."))
            return None
        sha256 = sha256_of(file)
        if sha256 in pinned.hashes:
            return self.verified(pinned, file.resolve(), sha256, "PUSHLINE_DATA")
        if local.is_file() and file.name != pinned.name:
            self.astray = f"PUSHLINE_DATA names {local}, which is another table."
            return None  # perhaps another one of data.lock
        refuse_other(pinned, file, table_of(file, self.delimiter))
        return described(pinned, file.resolve(), sha256, "PUSHLINE_DATA")

    def downloaded(self, pinned: PinnedFile) -> DataFile:
        """The file from the first source that gives it."""
        problems: list[DataUnavailable | DataCorrupt] = []
        for source in pinned.sources:
            if not source.url:
                continue
            place = place_of(self.cache, pinned.name, source.sha256)
            try:
                self.progress(f"downloading {source.url}")
                file = download(source.url, source.sha256, place.parent, place.name, self.progress, self.terms)
            except (DataUnavailable, DataCorrupt) as error:
                self.progress(f"{error.what} {error.why}")
                problems.append(error)
                continue
            return self.verified(pinned, file, source.sha256, source.url)
        corrupt = [problem for problem in problems if isinstance(problem, DataCorrupt)]
        if corrupt:
            raise corrupt[0]
        why = " ".join(f"{problem.what} {problem.why}" for problem in problems) or "data.lock lists no address for it."
        raise DataUnavailable(
            f"{pinned.name} can't be had.",
            why=f"{self.astray} {why}".strip(),
            do=WAYS_OUT.replace("Set PUSHLINE_DATA to", "Let PUSHLINE_DATA name") if self.astray else WAYS_OUT,
        )

    def verified(self, pinned: PinnedFile, file: Path, sha256: str, origin: str) -> DataFile:
        """A file with pinned bytes. Raises DataCorrupt where the lock says other things of them than what they hold."""
        beside = place_of(self.cache, f"{pinned.name}.{TABLE}", sha256)
        known = read_json(beside, CachedTable)
        if known is None or (known.table.sha256, known.delimiter) != (sha256, self.delimiter):
            known = CachedTable(table=table_of(file, self.delimiter), delimiter=self.delimiter)
            if beside.parent == file.parent:
                write_json(beside, known)
        verify(pinned, known.table)
        return described(pinned, file, sha256, origin)


class CachedTable(Struct, frozen=True, kw_only=True):
    """What bytes in the cache were found to hold, kept beside them: reading a large table takes longer than hashing it."""

    table: Table
    delimiter: str


def described(pinned: PinnedFile, file: Path, sha256: str, origin: str) -> DataFile:
    return DataFile(name=pinned.name, path=str(file), sha256=sha256, version=pinned.version, rows=pinned.rows, origin=origin)


def place_of(cache: Path, name: str, sha256: str) -> Path:
    """Where the cache keeps the copy with these bytes."""
    return cache / sha256[:16] / name


def refuse_other(pinned: PinnedFile, file: Path, table: Table) -> None:
    """Raises DataCorrupt for a file that holds another table than the one that is pinned under its name, or that the lock says."""
    if table.version != pinned.version:
        raise DataCorrupt(
            f"{file} is not the {pinned.name} that data.lock pins.",
            why=f"It holds version {table.version} with {table.rows:,} rows; pinned is {pinned.version} with {pinned.rows:,}.",
            do="Restore the pinned file, or pin this one: `pushline data add FILE`, or `pushline adopt` for a table that has changed.",
        )
    verify(pinned, table)


def verify(pinned: PinnedFile, table: Table) -> None:
    """Raises DataCorrupt where the lock says other things of the table than what its pinned bytes hold."""
    for name, said, seen in (
        ("version", pinned.version, table.version),
        ("rows", pinned.rows, table.rows),
        ("columns", pinned.columns, table.columns),
    ):
        if said != seen:
            raise DataCorrupt(
                f"data.lock contradicts itself about {pinned.name}.",
                why=f"The pinned bytes hold {name} {seen}, the lock says {said}.",
                do="Restore data.lock from git, or add the file again with `pushline data add`.",
            )


def generated(project: Project, contract: Contract, lock: DataLock, reason: str, progress: Progress) -> FetchResult:
    """Rows drawn from the profile, about as many as are pinned, named for what they are."""
    from pushline.data.profile import load_profile
    from pushline.data.profile.sample import sample_rows, write_sample

    for line in (
        "=" * 78,
        "GENERATED SAMPLE: this run goes on with made-up rows.",
        reason,
        "They are drawn from data_checks/profile.json. Whatever is trained on them says so and is never released",
        "outside this machine. For the real data: " + WAYS_OUT.split(" `--")[0],
        "=" * 78,
    ):
        progress(line)
    file = project.build / "fetch" / SAMPLE
    write_sample(sample_rows(load_profile(project.profile), contract, lock.rows, SAMPLE_SEED), file, contract.delimiter)
    table = table_of(file, contract.delimiter)
    origin = "generated sample"
    pinned = DataFile(name=SAMPLE, path=str(file), sha256=table.sha256, version=table.version, rows=table.rows, origin=origin)
    return FetchResult(data_version=table.version, files=(pinned,), rows=table.rows, columns=len(table.columns), generated_sample=True)
