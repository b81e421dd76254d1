"""The scores on their way to a file: written beside it, kept in step with a journal, put in its place at the end.

All is whole and on the disk before the journal says so; only then the files get their names, one after the other. Killed in
between, the same command finds the journal and gives the rest of them theirs.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from pushline.errors import SettingsError
from pushline.files import cannot_write, move, read_json, remove, whole_file, write_json
from pushline.locks import locked

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = (".csv", ".parquet")


class OutputJournal(Struct, kw_only=True):
    """How far a job is. What stands behind these sizes in the files is of a piece that was not finished."""

    identity: str  # of input, model and options
    number: int = 0  # pieces done
    start: int = 0  # where the next piece begins
    first: int = 0  # line or row it begins with
    out_bytes: int = 0
    rejects_bytes: int = 0
    rows: int = 0
    rejected: int = 0
    whole: bool = False  # all pieces are done, and every file that will be published is
    reasons: dict[str, int] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=lambda: [0] * 20)
    results: dict[str, int] = field(default_factory=dict)


class Workplace:
    """The folder beside the output in which a job keeps what it has so far."""

    def __init__(self, out: Path, identity: str) -> None:
        self.out = out
        self.folder = out.parent / f".{out.name}.scoring"
        self.file = self.folder / "journal.json"
        self.partial = self.folder / "scores"
        self.rejects = self.folder / "rejects"
        self.parts = self.folder / "parts"
        self.sample = self.folder / "sample"
        self.sampled = self.folder / "sample.parquet"
        self.journal = OutputJournal(identity=identity)

    def open(self) -> bool:
        """True where an earlier attempt at the same job is taken up. Raises TargetError where the folder can't be made."""
        before = read_json(self.file, OutputJournal)
        try:
            if before is not None and before.identity == self.journal.identity and self.holds(before):
                self.journal = before
                return True
            shutil.rmtree(self.folder, ignore_errors=True)
            self.parts.mkdir(parents=True)
            self.sample.mkdir()
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return False

    def holds(self, journal: OutputJournal) -> bool:
        """Whether what a journal says is still there; what is behind it is cut off."""
        if journal.whole:
            return all(made.exists() or to.exists() for made, to in self.published(journal))
        grown = [(self.rejects, journal.rejects_bytes), (self.partial, journal.out_bytes)]
        if any(size and (not file.exists() or file.stat().st_size < size) for file, size in grown):
            return False
        for file, size in grown:
            if file.exists():
                os.truncate(file, size)
        folders = (self.sample,) if journal.out_bytes else (self.sample, self.parts)
        return all((folder / name_of(number)).is_file() for folder in folders for number in range(journal.number))

    def published(self, journal: OutputJournal) -> list[tuple[Path, Path]]:
        """The files that are to get a name, and which; the scores last, so that whoever sees them sees the others."""
        return [
            *([(self.rejects, rejects_of(self.out))] if journal.rejected else []),
            (self.sampled, sample_of(self.out)),
            (self.partial, self.out),
        ]

    def note(self) -> None:
        """Put the journal in step with the files, which have been flushed."""
        write_json(self.file, self.journal)

    def publish(self) -> None:
        """Give the files their names: once, however often it was begun."""
        if not self.journal.rejected:
            with writing(rejects_of(self.out)):
                remove(rejects_of(self.out))  # of other scores that stood here
        for made, to in self.published(self.journal):
            with writing(to):
                if made.exists():
                    move(made, to)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def writing(to: Path) -> Iterator[None]:
    """Raises TargetError where the block can't write."""
    try:
        yield
    except OSError as error:
        raise cannot_write(to, error) from error


@contextmanager
def output(source: str, out: Path) -> Iterator[None]:
    """Nobody else scores into `out` meanwhile.

    Raises Busy with the name of who does, SettingsError where the scores can't go there or would take the input's place.
    """
    if re.match(r"[a-z][a-z0-9+.-]*:/", str(out)):  # a path has lost the second slash
        raise SettingsError(
            f"{out} is no file on this machine.", why="Scores are written here.", do="Name a file with --out, and copy it from there."
        )
    if out.suffix not in FORMATS:
        raise SettingsError(
            f"{out.name} is not written.",
            why=f"Scores are written as CSV or Parquet, not as {out.suffix.lstrip('.') or 'a file without an ending'}.",
            do="Name a file that ends in .csv or .parquet with --out; spreadsheets open CSV.",
        )
    for made in (out, rejects_of(out)):
        if Path(source).exists() and made.exists() and Path(source).samefile(made):
            raise SettingsError(f"{made} is the input.", why="What is written would take its place.", do="Name another file with --out.")
    lock = out.with_name(f".{out.name}.lock")
    while True:
        with locked(lock, f"score-batch into {out.name}") as handle:
            if not is_at(handle, lock):
                continue  # whoever held it has ended and removed it
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def is_at(handle: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def rejects_of(out: Path) -> Path:
    """The file beside the scores in which the rows are that have none."""
    return out.with_name(f"{out.stem}.rejects.csv")


def sample_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.sample.parquet")


class GrowingFile:
    """A file that grows, and says so if it can't."""

    def __init__(self, file: Path) -> None:
        self.file = file
        with writing(file):
            self.stream = file.open("ab")

    def add(self, content: Any) -> int:
        """Append and return how many bytes that were."""
        with writing(self.file):
            self.stream.write(content)
        return len(content)

    def flush(self) -> None:
        with writing(self.file):
            self.stream.flush()
            os.fsync(self.stream.fileno())

    def close(self) -> None:
        with writing(self.file):
            self.stream.close()


def join_parquet(parts: Path, to: Path) -> None:
    """Put the parts together in their order, a row group each, in constant memory."""
    import pyarrow.parquet as pq

    files = sorted(parts.glob("*.parquet"))
    with whole_file(to) as half, pq.ParquetWriter(half, pq.read_schema(files[0]), compression="zstd") as writer:
        for file in files:
            writer.write_table(pq.read_table(file))


def write_part(parts: Path, number: int, table: "pa.Table") -> None:
    """One piece's rows, be there none, as a file that is whole or not there."""
    import pyarrow.parquet as pq

    with whole_file(parts / name_of(number)) as half:
        pq.write_table(table, half, compression="zstd")


def name_of(number: int) -> str:
    return f"{number:08}.parquet"
