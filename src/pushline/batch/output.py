"""The scores on their way to a file: written beside it, kept in step with a journal, put in its place at the end."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from pushline.errors import SettingsError
from pushline.files import cannot_write, write_json

if TYPE_CHECKING:
    import pyarrow as pa


class Journal(Struct, kw_only=True):
    """How far a job is. What stands behind these sizes in the files is of a piece that was not finished."""

    identity: str  # of input, model and options
    number: int = 0  # pieces done
    start: int = 0  # where the next piece begins
    first: int = 0  # line or row it begins with
    out_bytes: int = 0
    rejects_bytes: int = 0
    rows: int = 0
    rejected: int = 0
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
        self.journal = Journal(identity=identity)

    def open(self) -> bool:
        """True where an earlier attempt at the same job is taken up. Raises TargetError where the folder can't be made."""
        try:
            before = msgspec.json.decode(self.file.read_bytes(), type=Journal)
        except (OSError, msgspec.DecodeError):
            before = None
        try:
            if before is not None and before.identity == self.journal.identity:
                self.journal = before
                for file, size in ((self.partial, before.out_bytes), (self.rejects, before.rejects_bytes)):
                    if file.exists():
                        os.truncate(file, size)
                return True
            shutil.rmtree(self.folder, ignore_errors=True)
            self.parts.mkdir(parents=True)
            self.sample.mkdir()
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        return False

    def note(self) -> None:
        """Put the journal in step with the files, which have been flushed."""
        write_json(self.file, self.journal)

    def close(self, file: Path, to: Path) -> None:
        """Put a finished file in its place."""
        try:
            file.replace(to)
        except OSError as error:
            raise cannot_write(to, error) from error

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def refuse_to_overwrite_the_input(source: str, out: Path) -> None:
    """Raises SettingsError where the output would take the input's place."""
    if Path(source).exists() and out.exists() and Path(source).samefile(out):
        raise SettingsError(f"{out} is the input.", why="The scores would take its place.", do="Name another file with --out.")


class Appended:
    """A file that grows, and says so if it can't."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self.stream = file.open("ab")
        except OSError as error:
            raise cannot_write(file, error) from error

    def add(self, content: Any) -> int:
        """Append and return how many bytes that were."""
        try:
            return self.stream.write(content)
        except OSError as error:
            raise cannot_write(self.file, error) from error

    def flush(self) -> None:
        try:
            self.stream.flush()
            os.fsync(self.stream.fileno())
        except OSError as error:
            raise cannot_write(self.file, error) from error

    def close(self) -> None:
        self.stream.close()


def join_parquet(parts: Path, to: Path) -> None:
    """Put the parts together in their order, a row group each, in constant memory."""
    import pyarrow.parquet as pq

    files = sorted(parts.glob("*.parquet"))
    try:
        with pq.ParquetWriter(to, pq.read_schema(files[0]), compression="zstd") as writer:
            for file in files:
                writer.write_table(pq.read_table(file))
    except OSError as error:
        raise cannot_write(to, error) from error


def write_part(parts: Path, number: int, table: "pa.Table") -> None:
    """One piece's rows as a file that is whole or not there."""
    import pyarrow.parquet as pq

    half = parts / f".{number:08}"
    try:
        pq.write_table(table, half, compression="zstd")
        half.replace(parts / f"{number:08}.parquet")
    except OSError as error:
        raise cannot_write(half, error) from error
