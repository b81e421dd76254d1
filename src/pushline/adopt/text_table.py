"""The given file as a table of text cells, however it was written; or a clear refusal."""

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pushline.adopt.archive import unpacked
from pushline.data.contract import RESERVED
from pushline.data.files import scan as scans
from pushline.data.files.header import DELIMITERS, fields_of
from pushline.data.files.reading import csv_relation
from pushline.data.files.table import database, literal, name_of
from pushline.data.files.version import PARQUET
from pushline.errors import DataCorrupt, SettingsError
from pushline.results import Finding

LOOKED_AT = 200  # rows by which the delimiter is told
CELLS = "cells.parquet"


class TextTable(Struct, frozen=True, kw_only=True):
    """A file that can be read: its columns in order, and its cells as text in a Parquet file (columns c0, c1, ...; empty: NULL)."""

    file: Path
    delimiter: str
    names: tuple[str, ...]
    cells: Path
    rows: int
    changed: tuple[str, ...] = ()  # what of the header has to be written anew
    findings: tuple[Finding, ...] = ()  # of its bytes, none of them critical

    @property
    def is_parquet(self) -> bool:
        return self.file.suffix == PARQUET


def read_text_table(file: Path, scratch: Path, sheet: str | None = None) -> TextTable:
    """Read `file` (CSV with any usual delimiter, or Parquet; a gzip or ZIP file with one of them; a workbook) into `scratch`.

    Raises DataUnavailable where it can't be opened, DataCorrupt where it is no table, SettingsError for names that can't be columns.
    """
    if file.is_dir():
        inside = [each.name for each in sorted(file.iterdir()) if each.suffix in (".csv", ".tsv", ".txt", PARQUET)]
        held = f"It holds {', '.join(inside[:5])}" if inside else "It holds no CSV and no Parquet file"
        do = f"Name one file, such as {file / inside[0]}." if inside else "Name a CSV or Parquet file."
        raise not_adopted(file, f"It is a folder, and adopt reads one file. {held}{' and others' * (len(inside) > 5)}.", do)
    head = scans.first_bytes(file)
    table, packed = unpacked(file, head, scratch, sheet)
    head = head if table == file else scans.first_bytes(table)
    fault = scans.kind_of(head, table.name)
    if fault is not None:
        raise not_adopted(file, fault.message)
    source = read_parquet_cells(table, scratch) if table.suffix == PARQUET else read_csv_cells(table, head, scratch)
    return msgspec.structs.replace(source, changed=(f"{table.name} out of {packed}", *source.changed)) if packed else source


def not_adopted(
    file: Path, why: str, do: str = "Nothing was changed. Write the file anew, then run the same command again."
) -> DataCorrupt:
    return DataCorrupt(f"{file.name} can't be adopted.", why=why, do=do)


def read_csv_cells(file: Path, head: bytes, scratch: Path) -> TextTable:
    import duckdb

    seen = scans.scan(file)
    findings = tuple(scans.scan_findings(seen))
    worst = next((finding for finding in findings if finding.severity == "critical"), None)
    if worst is not None:
        raise not_adopted(file, worst.message)
    text = head.decode("utf-8-sig", errors="replace")
    delimiter = delimiter_of(text, file)
    written = fields_of(text, delimiter)
    names, changed = names_of(written, file)
    with database(scratch) as connection:
        try:
            rows = copy_cells(connection, csv_relation(file, len(names), delimiter, strict=not seen.is_mixed), scratch)
        except duckdb.OperationalError:
            raise
        except duckdb.Error as error:
            first = str(error).splitlines()[0][:300]
            raise not_adopted(
                file, f"Its rows can't be read as {len(names)} columns with a {DELIMITERS[delimiter]} between them: {first}"
            ) from error
    if not rows:
        raise not_adopted(file, "It has a header and no row below it.")
    return TextTable(file=file, delimiter=delimiter, names=names, cells=scratch / CELLS, rows=rows, changed=changed, findings=findings)


def read_parquet_cells(file: Path, scratch: Path) -> TextTable:
    import duckdb

    with database(scratch) as connection:
        relation = f"read_parquet({literal(str(file))})"
        try:
            written = tuple(str(name) for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall())
            names, changed = names_of(written, file)
            texts = ", ".join(f"nullif(CAST({name_of(name)} AS VARCHAR), '') AS c{n}" for n, name in enumerate(written))
            rows = copy_cells(connection, f"(SELECT {texts} FROM {relation})", scratch)
        except duckdb.OperationalError:
            raise
        except duckdb.Error as error:
            raise not_adopted(file, f"It is damaged or incomplete: {str(error).splitlines()[0][:200]}") from error
    if not rows:
        raise not_adopted(file, "It holds no row.")
    return TextTable(file=file, delimiter=",", names=names, cells=scratch / CELLS, rows=rows, changed=changed)


def copy_cells(connection: Any, relation: str, scratch: Path) -> int:
    return int(connection.execute(f"COPY (FROM {relation}) TO {literal(str(scratch / CELLS))} (FORMAT parquet)").fetchone()[0])


def delimiter_of(text: str, file: Path) -> str:
    """The delimiter that parts the first rows into the most columns, the same number in each. Raises DataCorrupt where none does."""
    best, width = "", 1
    for delimiter in DELIMITERS:
        widths = widths_of(text, delimiter)
        if len(set(widths)) == 1 and widths[0] > width:
            best, width = delimiter, widths[0]
    if best:
        return best
    words = ", ".join(DELIMITERS.values())
    uneven = {word: sorted(set(widths_of(text, sign)))[:4] for sign, word in DELIMITERS.items() if max(widths_of(text, sign)) > 1}
    seen = "; ".join(f"with a {word} the rows have {', '.join(map(str, widths))} fields" for word, widths in uneven.items())
    raise not_adopted(file, f"No delimiter ({words}) parts its first rows into the same number of columns, two at least. {seen}".strip())


def widths_of(text: str, delimiter: str) -> list[int]:
    """How many fields the first rows have; the last one is left out where the text may end within it."""
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                widths.append(len(row))
            if len(widths) > LOOKED_AT:
                break
    except csv.Error:
        return [1]
    whole = widths[:-1] if len(widths) > 2 and (len(widths) > LOOKED_AT or len(text) >= scans.HEAD // 4) else widths
    return whole or [1]


def names_of(written: tuple[str, ...], file: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns' names without the spaces around them, and what that changed. Raises SettingsError for names that can't be told apart."""
    names, changed = [], []
    for position, name in enumerate(written, 1):
        plain = " ".join(name.split())
        if not plain:
            plain = f"column {position}"
            changed.append(f"column {position} has no name and is called `{plain}`")
        elif plain != name:
            changed.append(f"`{plain}` without the spaces around or within its name")
        names.append(plain)
    folded = [name.casefold() for name in names]
    twice = sorted({name for name in names if folded.count(name.casefold()) > 1})
    if twice:
        raise SettingsError(
            f"{file.name} can't be adopted.",
            why=f"Its header holds {', '.join(twice)} more than once, or in two spellings that differ in case only.",
            do="Nothing was changed. Give each column a name of its own.",
        )
    taken = [name for name in names if name.casefold() in RESERVED]
    if taken:
        raise SettingsError(
            f"{file.name} can't be adopted.",
            why=f"The checks themselves use the name {taken[0]}.",
            do="Nothing was changed. Rename the column.",
        )
    numbers = [name for name in names if is_number(name)]
    counted = [str(number) for number in range(len(names) + 1)]  # names that a program gave by counting are names
    if len(numbers) > len(names) / 2 and not set(numbers) <= set(counted):
        raise not_adopted(file, f"Its first line is a row ({', '.join(names[:5])}), not the columns' names.", "Put a header line on top.")
    return tuple(names), tuple(changed)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
