"""A CSV or Parquet file as a typed Parquet table, read once by DuckDB.

A sound file takes one pass: any cell that is not of its type stops it. Only then the file is read again as text, and each
fault is counted and located; cells that can't be read become empty, rows that can't be read are left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pushline.data.checks.findings import shown
from pushline.data.contract import Contract
from pushline.data.contract.dates import DATE_EXAMPLES
from pushline.data.files import header as headers
from pushline.data.files import scan as scans
from pushline.data.files.cells import bad_cells, reason_for, typed
from pushline.data.files.lines import TableFile, lines_of
from pushline.data.files.rejects import MOST_REJECTS, row_faults, unreadable_rows
from pushline.data.files.table import database, literal, name_of
from pushline.results import Finding
from pushline.wording import counted

if TYPE_CHECKING:
    import duckdb


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
    elif file.name.endswith(".parquet"):
        reading.source.is_parquet = True
        read_parquet(reading, contract, scratch, part)
    else:
        read_csv(reading, head, contract, scratch, part)
    return reading


def read_csv(reading: Reading, head: bytes, contract: Contract, scratch: Path, part: Path) -> None:
    """Bytes, then header, then rows, then cells; each step only where the one before made sense."""
    import duckdb

    file = reading.source.file
    scan = scans.scan(file)
    reading.findings += scans.scan_findings(scan)
    if any(finding.severity == "critical" for finding in reading.findings):
        return
    header = headers.read_header(head, contract)
    reading.findings += header.findings
    if not header.readable:
        return
    reading.columns = header.columns
    with database(scratch) as connection:
        relation = csv_relation(file, len(header.names), contract.delimiter, strict=not scan.is_mixed)
        try:
            reading.source.rows = write(connection, relation, header.cells, contract, part, otherwise="error('not of its type')")
        except duckdb.OperationalError:
            raise
        except duckdb.Error:
            read_again(connection, reading, header, scan, contract, scratch, part)
        else:
            reading.parts = part
    source = reading.source
    source.one_line_each = not source.left_out and source.rows + 1 == scan.lines and not scan.only_cr


def csv_relation(file: Path, width: int, delimiter: str, *, strict: bool, rejects: bool = False) -> str:
    """The file with every cell as text; columns are named by position, for a header may hold any name, and twice."""
    columns = ", ".join(f"'c{position}': 'VARCHAR'" for position in range(width))
    options = f", store_rejects=true, rejects_limit={MOST_REJECTS}" if rejects else ""
    return (
        f"read_csv({literal(str(file))}, columns={{{columns}}}, auto_detect=false, header=true, delim={literal(delimiter)}, "
        f"quote='\"', escape='\"', nullstr='', strict_mode={str(strict).lower()}{options})"
    )


def write(
    connection: "duckdb.DuckDBPyConnection", relation: str, cells: dict[str, str], contract: Contract, part: Path, *, otherwise: str
) -> int:
    """Write the typed table, in the contract's order, and return its rows.

    `cells`: SQL of the text of a cell, by the contract's name. `otherwise`: SQL for a cell that is not of its type.
    """
    columns = ", ".join(
        f"{typed(column, cells[column.name], otherwise)} AS {name_of(column.name)}" for column in contract.columns if column.name in cells
    )
    part.parent.mkdir(parents=True, exist_ok=True)
    written = connection.execute(f"COPY (SELECT {columns} FROM {relation}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)")
    return int(one(written)[0])


def one(answer: Any) -> tuple[Any, ...]:
    """The only row of an answer."""
    row = answer.fetchone()
    if row is None:
        raise LookupError("the query gave no row")
    return tuple(row)


def read_again(
    connection: "duckdb.DuckDBPyConnection",
    reading: Reading,
    header: headers.Header,
    scan: scans.Scan,
    contract: Contract,
    scratch: Path,
    part: Path,
) -> None:
    """Read a faulty file as text, note what is wrong, and write what can be read."""
    import duckdb

    raw = scratch / "raw.parquet"
    relation = csv_relation(reading.source.file, len(header.names), contract.delimiter, strict=not scan.is_mixed, rejects=True)
    try:
        rows = int(one(connection.execute(f"COPY (SELECT * FROM {relation}) TO {literal(str(raw))} (FORMAT parquet)"))[0])
    except duckdb.OperationalError:
        raise
    except duckdb.Error as error:
        reading.findings.append(unreadable_rows(error))
        return
    rejects = connection.execute(
        "SELECT line, min(error_type), any_value(csv_line) FROM reject_errors GROUP BY line ORDER BY line"
    ).fetchall()
    faults = row_faults(rejects, rows, header, contract)
    reading.findings += faults
    if rows == 0 or any(fault.id != "ragged-rows" for fault in faults) or len(rejects) > max(rows, MOST_REJECTS - 1):
        return
    reading.source.left_out = frozenset(int(line) for line, *_ in rejects)
    reading.source.one_line_each = False
    write_checked(connection, reading, raw, rows, header.cells, contract, part)
    raw.unlink(missing_ok=True)


def write_checked(
    connection: "duckdb.DuckDBPyConnection",
    reading: Reading,
    parquet: Path,
    rows: int,
    cells: dict[str, str],
    contract: Contract,
    part: Path,
) -> None:
    """Note the cells that are not of their type, and write the table with those cells empty."""
    reading.source.rows = rows
    for column in contract.columns:
        if column.name not in cells or column.type == "string":
            continue
        bad, first_rows, values = bad_cells(connection, parquet, column, cells[column.name])
        if bad:
            _, lines = lines_of([reading.source], first_rows)
            reading.findings.append(wrong_type(column.name, column.type, bad, rows, values, lines))
    write(connection, f"read_parquet({literal(str(parquet))})", cells, contract, part, otherwise="NULL")
    reading.parts = part


def wrong_type(name: str, kind: str, bad: int, rows: int, values: Sequence[str], lines: tuple[int, ...]) -> Finding:
    message = f"{counted(bad, 'value')} of {name} {'is' if bad == 1 else 'are'} not {ARTICLES[kind]}{reason_for(values, kind)}."
    return Finding("type", message, shown(dict.fromkeys(values)), kind, column=name, count=bad, lines=lines)


ARTICLES = {"integer": "an integer", "number": "a finite number", "boolean": "a boolean"}
ARTICLES |= {kind: f"a {kind} such as {example}" for kind, example in DATE_EXAMPLES.items()}


def read_parquet(reading: Reading, contract: Contract, scratch: Path, part: Path) -> None:
    """Names, then cells, of a Parquet file."""
    import duckdb

    file = reading.source.file
    with database(scratch) as connection:
        relation = f"read_parquet({literal(str(file))})"
        try:
            described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            header = headers.compare(tuple(str(name) for name, *_ in described), contract)
            reading.findings += header.findings
            if not header.readable:
                return
            reading.columns = header.columns
            cells = {ours: f"CAST({name_of(name)} AS VARCHAR)" for name, ours in header.columns.items()}
            try:
                reading.source.rows = write(connection, relation, cells, contract, part, otherwise="error('not of its type')")
                reading.parts = part
            except duckdb.InvalidInputException:
                rows = int(one(connection.execute(f"SELECT count(*) FROM {relation}"))[0])
                write_checked(connection, reading, file, rows, cells, contract, part)
        except duckdb.OperationalError:
            raise
        except duckdb.Error as error:
            message = "The Parquet file is damaged or incomplete. Copy or write it again."
            reading.findings.append(Finding("not-a-table", message, str(error).splitlines()[0][:200], "a whole Parquet file", count=1))
