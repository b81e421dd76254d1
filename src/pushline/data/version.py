"""The data version: a hash of the table, not of the file's bytes, so that copies with other line ends are one version.

The canonical form is UTF-8 without a byte order mark, the header first, fields separated by commas and quoted only where
they hold a comma, a quote or a line end, every row closed by one line feed, empty lines left out.
"""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from pushline.errors import DataCorrupt

CHUNK = 1 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DIGITS = 16


class Table(Struct, frozen=True, kw_only=True):
    """What a file holds, whatever its line ends."""

    version: str
    sha256: str  # of the file's own bytes
    rows: int
    columns: tuple[str, ...]


def sha256_of(file: Path) -> str:
    """The sha256 of the file's bytes, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def table_of(file: Path) -> Table:
    """The version, rows and columns of a CSV file, read in pieces.

    Raises DataCorrupt where the bytes are no CSV in UTF-8.
    """
    try:
        digest, lines, header = by_bytes(file) or by_fields(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
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


def by_fields(file: Path) -> tuple[Any, int, tuple[str, ...]]:
    """The canonical hash, lines and header of any CSV file, through its fields."""
    header: tuple[str, ...] = ()
    digest, lines = hashlib.sha256(), 0
    with file.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.reader(stream, strict=True):
            if not row:
                continue
            header = header if lines else tuple(row)
            lines += 1
            digest.update((",".join(map(quoted, row)) or '""').encode() + b"\n")
    return digest, lines, header


def quoted(field: str) -> str:
    """A field as the canonical form has it; not left to the csv module, whose idea of a special character has changed."""
    if any(mark in field for mark in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field


def version_of_many(versions: list[str]) -> str:
    """The version of several files read one after the other; of one file it is the file's own."""
    if len(versions) == 1:
        return versions[0]
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()[:DIGITS]
