"""A CSV or Parquet file as a typed Parquet table, read once by DuckDB.

A sound file takes one pass: any cell that is not of its type stops it. Only then the file is read again as text, and each
fault is counted and located; cells that can't be read become empty, rows that can't be read are left out.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pushline.data.checks.findings import shown
from pushline.data.contract import Contract
from pushline.data.contract.dates import DATE_EXAMPLES
from pushline.data.files import header as headers
from pushline.data.files import scan as scans
from pushline.data.files.cells import MOST_REJECTS, bad_cells, reason_for, row_faults, typed, unreadable_rows
from pushline.data.files.table import database, literal, name_of
from pushline.results import Finding
from pushline.wording import counted

if TYPE_CHECKING:
    import duckdb

ARTICLES = {"integer": "an integer", "number": "a finite number", "boolean": "a boolean"}
ARTICLES |= {kind: f"a {kind} such as {example}" for kind, example in DATE_EXAMPLES.items()}
STOP = "error('not of its type')"  # SQL: what a sound file is read with
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


class Reading(Struct, kw_only=True):
    """One file as it was read: where its rows are, and what was wrong with it."""

    source: TableFile
    findings: list[Finding]
    parts: Path | None = None  # typed Parquet; None where the rows could not be read
    columns: dict[str, str] = {}  # the contract's name by the file's


def read_file(file: Path, contract: Contract, scratch: Path, part: Path) -> Reading:
    """Read `file` into the typed Parquet `part`, with every fault of its bytes, header, rows and cells.

    Raises DataUnavailable where the file can't be opened.
    """
    head = scans.first_bytes(file)
    reading = Reading(source=TableFile(file=file, delimiter=contract.delimiter), findings=[])
    if fault := scans.kind_of(head, file.name):
        reading.findings = [fault]
        return reading
    reading.source.is_parquet = file.name.endswith(".parquet")
    with database(scratch) as connection:
        reader = TableReader(reading, contract, scratch, part, connection)
        reader.read_parquet() if reading.source.is_parquet else reader.read_csv(head)
    return reading


def read_cells(cells: Path, contract: Contract, scratch: Path, part: Path) -> Reading | None:
    """The same for a Parquet file of texts, c0, c1 and so on in the contract's order; None where a cell is not of its type."""
    import duckdb

    reading = Reading(source=TableFile(file=cells, delimiter=contract.delimiter, is_parquet=True), findings=[])
    with database(scratch) as connection:
        reader = TableReader(reading, contract, scratch, part, connection)
        try:
            reader.write(f"read_parquet({literal(str(cells))})", {each.name: f"c{n}" for n, each in enumerate(contract.columns)}, STOP)
        except duckdb.InvalidInputException:
            return None
    return reading


class TableReader:
    """Reads one file, and notes what is wrong with it in `reading`."""

    def __init__(self, reading: Reading, contract: Contract, scratch: Path, part: Path, connection: "duckdb.DuckDBPyConnection") -> None:
        self.reading, self.source, self.contract, self.part, self.connection = reading, reading.source, contract, part, connection
        self.raw = scratch / "raw.parquet"

    def read_csv(self, head: bytes) -> None:
        """Bytes, then header, then rows, then cells; each step only where the one before made sense."""
        import duckdb

        scan = scans.scan(self.source.file)
        self.reading.findings += scans.scan_findings(scan)
        if any(finding.severity == "critical" for finding in self.reading.findings):
            return
        header = headers.read_header(head, self.contract)
        if not self.accepts(header):
            return
        strict = not scan.is_mixed
        try:
            self.write(csv_relation(self.source.file, len(header.names), self.contract.delimiter, strict=strict), header.cells, STOP)
        except duckdb.OperationalError:
            raise
        except duckdb.Error:
            self.read_again(header, strict=strict)
        self.source.one_line_each = not self.source.left_out and self.source.rows + 1 == scan.lines and not scan.only_cr

    def accepts(self, header: headers.Header) -> bool:
        self.reading.findings += header.findings
        self.reading.columns = header.columns if header.readable else {}
        return header.readable

    def write(self, relation: str, cells: dict[str, str], otherwise: str) -> None:
        """Write the typed table, in the contract's order.

        `cells`: SQL of the text of a cell, by the contract's name. `otherwise`: SQL for a cell that is not of its type.
        """
        known = [column for column in self.contract.columns if column.name in cells]
        columns = ", ".join(f"{typed(column, cells[column.name], otherwise)} AS {name_of(column.name)}" for column in known)
        self.part.parent.mkdir(parents=True, exist_ok=True)
        query = f"COPY (SELECT {columns} FROM {relation}) TO {literal(str(self.part))} (FORMAT parquet, COMPRESSION zstd)"
        self.source.rows = int(one(self.connection.execute(query))[0])
        self.reading.parts = self.part

    def read_again(self, header: headers.Header, *, strict: bool) -> None:
        """Read a faulty file as text, note what is wrong, and write what can be read."""
        import duckdb

        relation = csv_relation(self.source.file, len(header.names), self.contract.delimiter, strict=strict, rejects=True)
        try:
            rows = int(one(self.connection.execute(f"COPY (SELECT * FROM {relation}) TO {literal(str(self.raw))} (FORMAT parquet)"))[0])
        except duckdb.OperationalError:
            raise
        except duckdb.Error as error:
            self.reading.findings.append(unreadable_rows(error))
            return
        query = "SELECT line, min(error_type), any_value(csv_line) FROM reject_errors GROUP BY line ORDER BY line"
        rejects = self.connection.execute(query).fetchall()
        faults = row_faults(rejects, rows, header, self.contract)
        self.reading.findings += faults
        if rows == 0 or any(fault.id != "ragged-rows" for fault in faults) or len(rejects) > max(rows, MOST_REJECTS - 1):
            return
        self.source.left_out = frozenset(int(line) for line, *_ in rejects)
        self.source.one_line_each = False
        self.write_checked(self.raw, rows, header.cells)
        self.raw.unlink(missing_ok=True)

    def write_checked(self, parquet: Path, rows: int, cells: dict[str, str]) -> None:
        """Note the cells that are not of their type, and write the table with those cells empty."""
        self.source.rows = rows
        for column in self.contract.columns:
            if column.name not in cells or column.type == "string":
                continue
            bad, first_rows, values = bad_cells(self.connection, parquet, column, cells[column.name])
            if bad:
                _, lines = lines_of([self.source], first_rows)
                are, reason = "is" if bad == 1 else "are", reason_for(values, column.type)
                message = f"{counted(bad, 'value')} of {column.name} {are} not {ARTICLES[column.type]}{reason}."
                seen = shown(dict.fromkeys(values))
                self.reading.findings.append(Finding("type", message, seen, column.type, column=column.name, count=bad, lines=lines))
        self.write(f"read_parquet({literal(str(parquet))})", cells, "NULL")

    def read_parquet(self) -> None:
        """Names, then cells, of a Parquet file."""
        import duckdb

        relation = f"read_parquet({literal(str(self.source.file))})"
        try:
            described = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            header = headers.compare(tuple(str(name) for name, *_ in described), self.contract)
            if not self.accepts(header):
                return
            cells = {ours: f"CAST({name_of(name)} AS VARCHAR)" for name, ours in header.columns.items()}
            try:
                self.write(relation, cells, STOP)
            except duckdb.InvalidInputException:
                rows = int(one(self.connection.execute(f"SELECT count(*) FROM {relation}"))[0])
                self.write_checked(self.source.file, rows, cells)
        except duckdb.OperationalError:
            raise
        except duckdb.Error as error:
            seen = str(error).splitlines()[0][:200]
            message = "The Parquet file is damaged or incomplete. Copy or write it again."
            self.reading.findings.append(Finding("not-a-table", message, seen, "a whole Parquet file", count=1))


def csv_relation(file: Path, width: int, delimiter: str, *, strict: bool, rejects: bool = False) -> str:
    """The file with every cell as text; columns are named by position, for a header may hold any name, and twice."""
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(width))
    options = f", store_rejects=true, rejects_limit={MOST_REJECTS}" if rejects else ""
    return (
        f"read_csv({literal(str(file))}, columns={{{columns}}}, auto_detect=false, header=true, delim={literal(delimiter)}, "
        f"quote='\"', escape='\"', nullstr='', strict_mode={str(strict).lower()}{options})"
    )


def one(answer: Any) -> tuple[Any, ...]:
    """The only row of an answer."""
    row = answer.fetchone()
    if row is None:
        raise LookupError("the query gave no row")
    return tuple(row)


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
