"""The data version: a hash of the table, not of the file's bytes, so that copies with other line ends are one version.

The canonical form is UTF-8 without a byte order mark, the header first, fields separated by commas and quoted only where
they hold a comma, a quote or a line end, every row closed by one line feed, empty lines left out.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from pushline.errors import DataCorrupt
from pushline.files import sha256_of

CHUNK = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DIGITS = 16
PARQUET = ".parquet"


class Table(Struct, frozen=True, kw_only=True):
    """What a file holds, whatever its line ends."""

    version: str
    sha256: str  # of the file's own bytes
    rows: int
    columns: tuple[str, ...]


def table_of(file: Path, delimiter: str = ",") -> Table:
    """The version, rows and columns of a CSV or Parquet file, read in pieces.

    Raises DataCorrupt where it is neither.
    """
    try:
        if file.suffix == PARQUET:
            digest, lines, header = by_rows(parquet_rows(file))
        else:
            digest, lines, header = (by_bytes(file) if delimiter == "," else None) or by_rows(csv_rows(file, delimiter))
    except (OSError, ValueError, csv.Error) as error:
        raise DataCorrupt(
            f"{file.name} can't be read as a table.", why=f"{error}.", do="`pushline check-data FILE` says what is wrong with a file."
        ) from error
    return Table(version=digest.hexdigest()[:DIGITS], sha256=sha256_of(file), rows=max(lines - 1, 0), columns=header)


def by_bytes(file: Path) -> tuple[Any, int, tuple[str, ...]] | None:
    """The canonical hash, lines and header of a file without a quote, where only line ends differ; None for any other file."""
    digest, lines, header = hashlib.sha256(), 0, b""
    for piece in whole_lines(file):
        if b'"' in piece:
            return None
        rows = [row for row in piece.split(b"\n") if row]
        if not rows:
            continue
        header = header or rows[0]
        lines += len(rows)
        digest.update(b"\n".join(rows) + b"\n")
    return digest, lines, tuple(header.decode("utf-8").split(",")) if header else ()


def whole_lines(file: Path) -> Iterator[bytes]:
    """The file's bytes with line feeds only, in pieces that end where a line ends."""
    with file.open("rb") as stream:
        rest = stream.read(len(BYTE_ORDER_MARK))
        rest = b"" if rest == BYTE_ORDER_MARK else rest
        while piece := stream.read(CHUNK):
            rest += piece
            cut = max(rest.rfind(b"\n"), rest[:-1].rfind(b"\r")) + 1  # a carriage return at the very end may be half of a line end
            yield rest[:cut].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            rest = rest[cut:]
    yield rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def by_rows(rows: Iterable[Sequence[str]]) -> tuple[Any, int, tuple[str, ...]]:
    """The canonical hash, lines and header of any table, through its fields; the first row is the header."""
    header: tuple[str, ...] = ()
    digest, lines = hashlib.sha256(), 0
    for row in rows:
        header = header if lines else tuple(row)
        lines += 1
        digest.update((",".join(map(quoted, row)) or '""').encode() + b"\n")
    return digest, lines, header


def csv_rows(file: Path, delimiter: str = ",") -> Iterator[list[str]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        yield from (row for row in csv.reader(stream, delimiter=delimiter, strict=True) if row)


def parquet_rows(file: Path) -> Iterator[list[str]]:
    """The rows of a Parquet file as a CSV file would hold them, floats with the fewest digits that give them back."""
    from pyarrow import parquet

    with parquet.ParquetFile(file) as table:
        yield table.schema_arrow.names
        for batch in table.iter_batches(batch_size=10_000):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield [as_text(value) for value in row]


def as_text(value: object) -> str:
    if value is None or value != value:  # the latter: not a number
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def quoted(field: str, delimiter: str = ",") -> str:
    """A field as the canonical form has it; not left to the csv module, whose idea of a special character has changed."""
    if any(mark in field for mark in (delimiter, '"', "\r", "\n")):
        return '"' + field.replace('"', '""') + '"'
    return field


def version_of_many(versions: list[str]) -> str:
    """The version of several files read one after the other; of one file it is the file's own."""
    if len(versions) == 1:
        return versions[0]
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()[:DIGITS]
