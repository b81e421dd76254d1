"""From a row of the typed table back to the line of the file it came from."""

import csv
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

csv.field_size_limit(16 << 20)


class TableFile(Struct, kw_only=True):
    """One file behind the table, and which of the table's rows came from it."""

    file: Path
    first_row: int = 0  # of the table, counted from 0
    rows: int = 0
    delimiter: str = ","
    is_parquet: bool = False
    one_line_each: bool = True  # every row is one line, none blank, none left out
    left_out: frozenset[int] = frozenset()  # lines on which rows start that could not be read
    encoding: str = "utf-8-sig"


def lines_of(sources: Iterable[TableFile], rows: Iterable[int]) -> tuple[TableFile | None, tuple[int, ...]]:
    """The file of the first of these rows, and the lines of all that are in that file.

    A line counts from 1 and the header is line 1; in a Parquet file it is the row's number, from 1.
    """
    wanted = sorted(set(rows))
    if not wanted:
        return None, ()
    source = next(s for s in sources if s.first_row <= wanted[0] < s.first_row + s.rows)
    within = [row - source.first_row for row in wanted if row < source.first_row + source.rows]
    if source.is_parquet:
        return source, tuple(row + 1 for row in within)
    if source.one_line_each:
        return source, tuple(row + 2 for row in within)
    return source, tuple(_walked(source, within))


def _walked(source: TableFile, rows: list[int]) -> list[int]:
    """The lines on which these rows start, found by reading the file up to the last of them."""
    found: list[int] = []
    with source.file.open(encoding=source.encoding, newline="") as stream:
        reader = csv.reader(stream, delimiter=source.delimiter)
        next(reader, None)
        row, start = 0, reader.line_num + 1
        for fields in reader:
            if fields and start not in source.left_out:
                if row == rows[len(found)]:
                    found.append(start)
                    if len(found) == len(rows):
                        break
                row += 1
            start = reader.line_num + 1
    return found
