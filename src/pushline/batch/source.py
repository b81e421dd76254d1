"""The input in pieces, each of which can be scored by itself and found again after a kill."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, Protocol

from msgspec import Struct

from pushline.batch.row_ends import LONGEST, end_of_header, end_of_rows, fault_of_text
from pushline.data.files.scan import kind_of
from pushline.data.files.version import quoted
from pushline.errors import DataCorrupt, DataUnavailable, SettingsError

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


class BatchInput(Protocol):
    """A file of rows."""

    kind: str  # csv or parquet
    columns: tuple[str, ...]
    delimiter: str
    header: bytes  # as a CSV file of these rows has it, without its line end
    first: int  # line or row of the first one
    size: int  # bytes, or rows: what `end` of the last piece will be
    identity: str  # changes with the file

    def pieces(self, *, number: int = 0, start: int = 0, first: int = 0) -> Iterator[Piece]:
        """The pieces from `start` on, cut where they are cut from the beginning: a model may round otherwise in another batch."""


def open_source(uri: str, delimiter: str) -> BatchInput:
    """The rows at a path or any address that fsspec knows.

    Raises DataUnavailable where nothing can be read there, DataCorrupt where it is neither CSV nor Parquet.
    """
    import fsspec

    with reading(uri):
        system, path = fsspec.core.url_to_fs(uri)
        size = int(system.size(path) or 0)
        with system.open(path, "rb") as stream:
            head = stream.read(HEAD_BYTES)
        identity = identity_of(system, path, f"{uri} {size} ".encode() + head)
    if not head:
        raise DataCorrupt(f"{uri} is empty.", why="It holds no byte.", do="Name a file with a header and rows.")
    if head.startswith(b"PAR1"):
        return ParquetSource(system, path, identity, delimiter)
    other = kind_of(head, "")
    if other or PurePosixPath(path).suffix in (".parquet", ".gz", ".zip", ".xlsx"):
        why = other.message if other else "Its first bytes are of another format."
        raise DataCorrupt(f"{uri} is neither CSV nor Parquet.", why=why, do="Name a CSV file in UTF-8 or a Parquet file.")
    return CsvSource(system, path, size, head, delimiter, identity)


def identity_of(system: Any, path: str, known: bytes) -> str:
    """What changes with the content of a file: the hash of all of it, or elsewhere of its beginning and what the server says of it."""
    digest = hashlib.sha256(known)
    if "file" in system.protocol:
        with system.open(path, "rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    else:  # asking for all of it would fetch it twice: its size, time and ETag, as far as they are told
        digest.update(json.dumps(system.info(path), sort_keys=True, default=str).encode())
    return digest.hexdigest()


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Raises DataUnavailable where what is read in the block breaks off or is not there."""
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        raise DataUnavailable(
            f"{uri} can't be read.", why=f"{error}.", do="Name a CSV or Parquet file, or an address that fsspec knows."
        ) from error


class CsvSource:
    """A CSV file with a header, cut at line ends that stand outside quotes."""

    kind = "csv"

    def __init__(self, system: Any, path: str, size: int, head: bytes, delimiter: str, identity: str) -> None:
        self.system, self.path, self.size, self.delimiter, self.identity = system, path, size, delimiter, identity
        skipped = len(BOM) if head.startswith(BOM) else 0
        text = head[skipped:] + (b"" if size > len(head) or head.endswith(b"\n") else b"\n")
        line = text[: end_of_header(text, delimiter)]
        self.header = line.rstrip(b"\r\n")
        try:
            if not line:
                raise ValueError(f"It has no end within {HEAD_BYTES:,} bytes, or a quote that is not closed where its cell ends")
            if fault := fault_of_text(self.header, delimiter):
                raise ValueError(f"It {fault}")
            self.columns = tuple(next(csv.reader(io.StringIO(self.header.decode("utf-8")), delimiter=delimiter), []))
        except (ValueError, csv.Error) as error:
            raise DataCorrupt(
                f"The header of {path} can't be read.", why=f"{error}.", do="Write the file anew as CSV in UTF-8, with line feeds."
            ) from error
        self.body = min(skipped + len(line), len(head))
        self.first = 2 + self.header.count(b"\n")

    def pieces(self, *, number: int = 0, start: int = 0, first: int = 0) -> Iterator[Piece]:
        """The pieces from `start` on, cut where they are cut from the beginning: a model may round otherwise in another batch."""
        position, line = (start, first) if start else (self.body, self.first)
        with reading(self.path), self.system.open(self.path, "rb") as stream:
            stream.seek(position)
            rest, at, dropped = b"", position, 0
            while True:
                read = stream.read(PIECE_BYTES - (at - self.body) % PIECE_BYTES)  # up to a bound that counts from the first row
                text, at = rest + read, at + len(read)
                if not text and number:
                    return
                cut = end_of_rows(text, self.delimiter) if read else len(text)
                if read and cut == 0:  # a row longer than a piece: read on
                    rest = text if b"\n" in text else text[: LONGEST + 1]  # of a line that is too long its beginning is enough
                    dropped += len(text) - len(rest)
                    continue
                piece, rest, end = text[:cut], text[cut:], position + cut + dropped
                yield Piece(number=number, first=line, start=position, end=end, text=piece)
                number, position, line, dropped = number + 1, end, line + piece.count(b"\n"), 0


class ParquetSource:
    """A Parquet file, batch by batch."""

    kind = "parquet"

    def __init__(self, system: Any, path: str, identity: str, delimiter: str) -> None:
        import pyarrow.parquet as pq

        self.system, self.path, self.identity, self.delimiter = system, path, identity, delimiter
        with whole(path), self.system.open(path, "rb") as stream:
            file = pq.ParquetFile(stream)
            self.size = file.metadata.num_rows
            self.schema = without_views(file.schema_arrow)
            self.columns, self.first = tuple(self.schema.names), 1
            self.header = delimiter.join(quoted(name, delimiter) for name in self.columns).encode()

    def pieces(self, *, number: int = 0, start: int = 0, first: int = 0) -> Iterator[Piece]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        position = 0
        with whole(self.path), self.system.open(self.path, "rb") as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=PIECE_ROWS, use_threads=False):
                end = position + batch.num_rows
                if position >= start:
                    yield Piece(number=number, first=position + 1, start=position, end=end, batch=batch.cast(self.schema))
                    number += 1
                position = end
        if number == 0:
            yield Piece(number=0, first=1, start=0, end=0, batch=pa.RecordBatch.from_pylist([], schema=self.schema))


def without_views(schema: Any) -> Any:
    """The schema with the text types that Arrow can filter and write as CSV."""
    import pyarrow as pa

    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    return pa.schema([field.with_type(plain.get(field.type, field.type)) for field in schema], schema.metadata)


@contextmanager
def whole(path: str) -> Iterator[None]:
    """Raises DataCorrupt where the Parquet file that is read in the block is damaged."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataCorrupt(f"{path} is a damaged Parquet file.", why=f"{error}.", do="Write it again.") from error


def refuse_what_csv_cant_hold(source: BatchInput, uri: str) -> None:
    """Raises SettingsError where a Parquet file's columns can't be written as CSV, such as lists."""
    import pyarrow as pa
    from pyarrow import csv

    for field in getattr(source, "schema", ()):
        try:
            csv.write_csv(pa.schema([field]).empty_table(), io.BytesIO())
        except pa.ArrowInvalid as error:
            raise SettingsError(
                f"{uri} can't be scored into a CSV file.",
                why=f"Its column {field.name} is of the type {field.type}.",
                do="Name an --out that ends in .parquet.",
            ) from error
