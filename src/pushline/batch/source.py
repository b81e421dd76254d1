"""The input in pieces, each of which can be scored by itself and found again after a kill."""

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np
from msgspec import Struct

from pushline.errors import DataCorrupt, DataUnavailable

PIECE_BYTES = 8 << 20
PIECE_ROWS = 65_536
HEAD_BYTES = 1 << 20
BOM = b"\xef\xbb\xbf"


class Piece(Struct, frozen=True, kw_only=True):
    """Whole rows of the input: the bytes of CSV lines, or a batch of a Parquet file."""

    number: int
    first: int  # line of the first row in a CSV file, row number in a Parquet file
    start: int  # where it begins: a byte, or a row
    end: int  # where the next one begins
    text: bytes = b""
    batch: Any = None  # pa.RecordBatch

    @property
    def next_first(self) -> int:
        """`first` of the piece behind it."""
        return self.first + (self.text.count(b"\n") if self.batch is None else self.end - self.start)


class Source(Protocol):
    """A file of rows."""

    kind: str  # csv or parquet
    columns: tuple[str, ...]
    size: int  # bytes, or rows: what `end` of the last piece will be
    identity: str  # changes with the file

    def pieces(self, *, number: int = 0, start: int = 0, first: int = 0) -> Iterator[Piece]:
        """The pieces from `start` on, cut where they are cut from the beginning: a model may round otherwise in another batch."""


def open_source(uri: str, delimiter: str) -> Source:
    """The rows at a path or any address that fsspec knows.

    Raises DataUnavailable where nothing can be read there, DataCorrupt where it is neither CSV nor Parquet.
    """
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(uri)
        size = int(system.size(path) or 0)
        with system.open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
    except (OSError, ValueError, ImportError) as error:
        raise DataUnavailable(
            f"{uri} can't be read.", why=f"{error}.", do="Name a CSV or Parquet file, or an address that fsspec knows."
        ) from error
    if not head:
        raise DataCorrupt(f"{uri} is empty.", why="It holds no byte.", do="Name a file with a header and rows.")
    identity = hashlib.sha256(f"{uri} {size} ".encode() + head).hexdigest()
    if head.startswith(b"PAR1"):
        return ParquetSource(system, path, identity)
    if PurePosixPath(path).suffix in (".parquet", ".gz", ".zip", ".xlsx") or b"\0" in head:
        raise DataCorrupt(f"{uri} is neither CSV nor Parquet.", why="Its first bytes are of another format.", do="Convert it first.")
    return CsvSource(system, path, size, head, delimiter, identity)


class CsvSource:
    """A CSV file with a header, cut at line ends that stand outside quotes."""

    kind = "csv"

    def __init__(self, system: Any, path: str, size: int, head: bytes, delimiter: str, identity: str) -> None:
        self.system, self.path, self.size, self.delimiter, self.identity = system, path, size, delimiter, identity
        skipped = len(BOM) if head.startswith(BOM) else 0
        cut = first_line_end(head[skipped:])
        line = head[skipped : skipped + cut]
        try:
            self.columns = tuple(next(csv.reader(io.StringIO(line.decode("utf-8")), delimiter=delimiter), []))
        except UnicodeDecodeError as error:
            raise DataCorrupt(
                f"{path} is not UTF-8.", why=f"Its header has the byte {line[error.start]:#x}.", do="Save it as UTF-8."
            ) from error
        self.header = line.rstrip(b"\r\n")
        self.body = skipped + cut
        self.first = 2 + line.rstrip(b"\r\n").count(b"\n")

    def pieces(self, *, number: int = 0, start: int = 0, first: int = 0) -> Iterator[Piece]:
        position, line = (start, first) if start else (self.body, self.first)
        with self.system.open(self.path, "rb") as stream:
            stream.seek(position)
            rest, at = b"", position
            while True:
                read = stream.read(PIECE_BYTES - (at - self.body) % PIECE_BYTES)  # up to a bound that counts from the first row
                text, at = rest + read, at + len(read)
                if not text:
                    return
                cut = len(text) if not read else last_line_end(text)
                if cut == 0:  # a line longer than a piece: read on
                    rest = text
                    continue
                piece, rest = text[:cut], text[cut:]
                yield Piece(number=number, first=line, start=position, end=position + cut, text=piece)
                number, position, line = number + 1, position + cut, line + piece.count(b"\n")


class ParquetSource:
    """A Parquet file, batch by batch."""

    kind = "parquet"

    def __init__(self, system: Any, path: str, identity: str) -> None:
        import pyarrow.parquet as pq

        self.system, self.path, self.identity = system, path, identity
        try:
            with self.system.open(path, "rb") as stream:
                file = pq.ParquetFile(stream)
                self.size = file.metadata.num_rows
                self.columns = tuple(file.schema_arrow.names)
        except (OSError, ValueError) as error:
            raise DataCorrupt(f"{path} is a damaged Parquet file.", why=f"{error}.", do="Write it again.") from error

    def pieces(self, *, number: int = 0, start: int = 0, first: int = 0) -> Iterator[Piece]:
        import pyarrow.parquet as pq

        position = 0
        with self.system.open(self.path, "rb") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=PIECE_ROWS, use_threads=False):
                end = position + batch.num_rows
                if position >= start:
                    yield Piece(number=number, first=position + 1, start=position, end=end, batch=batch)
                    number += 1
                position = end


def first_line_end(text: bytes) -> int:
    """Where the first line ends, its end included: the first line feed outside quotes, or all of the text."""
    position = text.find(b"\n")
    while position >= 0 and text.count(b'"', 0, position) % 2:
        position = text.find(b"\n", position + 1)
    return position + 1 if position >= 0 else len(text)


def last_line_end(text: bytes) -> int:
    """Where the last whole line ends, its end included; 0 where none does."""
    if b'"' not in text:
        return text.rfind(b"\n") + 1
    ends = line_ends(text)
    return int(ends[-1]) + 1 if len(ends) else 0


def line_ends(text: bytes) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Positions of the line feeds that stand outside quotes."""
    array = np.frombuffer(text, dtype=np.uint8)
    feeds = np.flatnonzero(array == 10)
    if b'"' not in text:
        return feeds
    quotes = np.flatnonzero(array == 34)
    outside: np.ndarray[Any, np.dtype[np.int64]] = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
    return outside
