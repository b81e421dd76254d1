"""A CSV or Parquet file as a typed Parquet table, read once by DuckDB.

A sound file takes one pass: any cell that is not of its type stops it. Only then the file is read again as text, and each
fault is counted and located; cells that can't be read become empty, rows that can't be read are left out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pushline.data import header as headers
from pushline.data import scan as scans
from pushline.data.cells import bad_cells, typed
from pushline.data.contract import Contract
from pushline.data.findings import MOST_LINES, counted, shown
from pushline.data.lines import Source, lines_of
from pushline.data.table import literal, name_of
from pushline.results import Finding

if TYPE_CHECKING:
    import duckdb

MEMORY = "256MB"
MOST_REJECTS = 10_000


class Reading(Struct, kw_only=True):
    """One file as it was read: where its rows are, and what was wrong with it."""

    source: Source
    findings: list[Finding]
    parts: Path | None = None  # typed Parquet; None where the rows could not be read
    columns: dict[str, str] = {}  # the contract's name by the file's


@contextmanager
def database(scratch: Path, memory: str = MEMORY) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A DuckDB that keeps to its memory, spills into `scratch`, and never downloads an extension."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": 2,
        "temp_directory": str(scratch / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config=config) as connection:
        connection.execute("SET enable_progress_bar = false")
        yield connection


def read_file(file: Path, contract: Contract, scratch: Path, part: Path) -> Reading:
    """Read `file` into the typed Parquet `part`, with every fault of its bytes, header, rows and cells.

    Raises DataUnavailable where the file can't be opened.
    """
    head = scans.first_bytes(file)
    reading = Reading(source=Source(file=file, delimiter=contract.delimiter), findings=[])
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
    reading.findings += scans.faults_of(scan)
    if any(finding.severity == "critical" for finding in reading.findings):
        return
    header = headers.read_header(head, contract)
    reading.findings += header.findings
    if not header.readable:
        return
    reading.columns = header.columns
    with database(scratch) as connection:
        relation = csv_relation(file, header.names, contract.delimiter, strict=scan.line_ends < 2)
        try:
            reading.source.rows = write(connection, relation, header.columns, contract, part, otherwise="error('not of its type')")
        except duckdb.Error:
            read_again(connection, reading, header, scan, contract, scratch, part)
        else:
            reading.parts = part
    source = reading.source
    source.one_line_each = not source.left_out and source.rows + 1 == scan.lines and not scan.only_cr


def csv_relation(file: Path, names: Sequence[str], delimiter: str, *, strict: bool, rejects: bool = False) -> str:
    """The file with every cell as text."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    options = f", store_rejects=true, rejects_limit={MOST_REJECTS}" if rejects else ""
    return (
        f"read_csv({literal(str(file))}, columns={{{columns}}}, auto_detect=false, header=true, delim={literal(delimiter)}, "
        f"quote='\"', escape='\"', nullstr='', strict_mode={str(strict).lower()}{options})"
    )


def write(
    connection: "duckdb.DuckDBPyConnection", relation: str, columns: dict[str, str], contract: Contract, part: Path, *, otherwise: str
) -> int:
    """Write the typed table, in the contract's order, and return its rows. `otherwise`: SQL for a cell that is not of its type."""
    theirs = {ours: name for name, ours in columns.items()}
    cells = ", ".join(
        f"{typed(column, name_of(theirs[column.name]), otherwise)} AS {name_of(column.name)}"
        for column in contract.columns
        if column.name in theirs
    )
    part.parent.mkdir(parents=True, exist_ok=True)
    written = connection.execute(f"COPY (SELECT {cells} FROM {relation}) TO {literal(str(part))} (FORMAT parquet, COMPRESSION zstd)")
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
    relation = csv_relation(reading.source.file, header.names, contract.delimiter, strict=scan.line_ends < 2, rejects=True)
    try:
        rows = int(one(connection.execute(f"COPY (SELECT * FROM {relation}) TO {literal(str(raw))} (FORMAT parquet)"))[0])
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
    write_checked(connection, reading, f"read_parquet({literal(str(raw))})", rows, header.columns, contract, part)
    raw.unlink(missing_ok=True)


def unreadable_rows(error: Exception) -> Finding:
    return Finding(
        id="ragged-rows",
        severity="critical",
        message="The rows can't be told apart. Write the file anew as plain CSV.",
        seen=str(error).splitlines()[0][:200],
        expected="CSV: one row a line, fields quoted with double quotes where needed",
    )


def row_faults(rejects: list[tuple[Any, ...]], rows: int, header: headers.Header, contract: Contract) -> list[Finding]:
    """Findings about rows with too few or too many fields and about quotes."""
    quotes = [(line, text) for line, kind, text in rejects if kind not in ("MISSING COLUMNS", "TOO MANY COLUMNS")]
    if quotes:
        line = int(quotes[0][0])
        return [
            Finding(
                id="quotes",
                severity="critical",
                message=f"A quote that opens in line {line:,} is not closed where its field ends. Close it, or double quotes within it.",
                seen=str(quotes[0][1])[:80],
                expected="fields in double quotes, closed before the next delimiter",
                count=len(quotes),
                lines=tuple(int(line) for line, _ in quotes[:MOST_LINES]),
            )
        ]
    if not rejects:
        return []
    width = len(header.names)
    lines = tuple(int(line) for line, *_ in rejects[:MOST_LINES])
    first = headers.fields_of(str(rejects[0][2]).splitlines()[0], contract.delimiter)
    if len(rejects) > rows and contract.delimiter == "," and len(first) > width and is_decimal_comma(first, header.names, contract):
        return [decimal_commas(len(rejects), lines, first, width)]
    return [ragged(rejects, width, lines, first)]


def is_decimal_comma(fields: Sequence[str], names: Sequence[str], contract: Contract) -> bool:
    """Whether there is a field too many for each number that a comma has cut in two, and for nothing else."""
    position = 0
    for name in names:
        column = contract.by_name.get(name)
        whole, *rest = fields[position : position + 2] or ("",)
        cut = column is not None and column.type == "number" and whole.lstrip("+-").isdigit() and bool(rest) and rest[0].isdigit()
        position += 2 if cut else 1
    return position == len(fields)


def decimal_commas(count: int, lines: tuple[int, ...], first: Sequence[str], width: int) -> Finding:
    return Finding(
        id="decimal-comma",
        severity="critical",
        message="Numbers are written with a decimal comma, which also separates the fields. Write them with a point, or quote them.",
        seen=f"{len(first)} fields in line {lines[0]:,}",
        expected=f"{width} fields, numbers like 93.994",
        count=count,
        lines=lines,
    )


def ragged(rejects: list[tuple[Any, ...]], width: int, lines: tuple[int, ...], first: Sequence[str]) -> Finding:
    few = sum(kind == "MISSING COLUMNS" for _, kind, _ in rejects)
    what = "too few fields" if few == len(rejects) else "too many fields" if not few else "too few or too many fields"
    number = counted(len(rejects), "row") if len(rejects) < MOST_REJECTS else f"at least {MOST_REJECTS:,} rows"
    return Finding(
        id="ragged-rows",
        severity="critical",
        message=f"{number} {'has' if len(rejects) == 1 else 'have'} {what}: {len(first)} instead of {width} in line {lines[0]:,}.",
        seen=f"{counted(len(first), 'field')} in line {lines[0]:,}",
        expected=counted(width, "field"),
        count=len(rejects),
        lines=lines,
    )


def write_checked(
    connection: "duckdb.DuckDBPyConnection",
    reading: Reading,
    relation: str,
    rows: int,
    columns: dict[str, str],
    contract: Contract,
    part: Path,
) -> None:
    """Note the cells that are not of their type, and write the table with those cells empty."""
    reading.source.rows = rows
    theirs = {ours: name for name, ours in columns.items()}
    for column in contract.columns:
        if column.name not in theirs or column.type == "string":
            continue
        bad, first_rows, values = bad_cells(connection, relation, column, name_of(theirs[column.name]))
        if bad:
            _, lines = lines_of([reading.source], first_rows)
            reading.findings.append(wrong_type(column.name, column.type, bad, rows, values, lines))
    write(connection, relation, columns, contract, part, otherwise="NULL")
    reading.parts = part


def wrong_type(name: str, kind: str, bad: int, rows: int, values: Sequence[str], lines: tuple[int, ...]) -> Finding:
    from pushline.data.cells import reason_for

    return Finding(
        id="type",
        severity="critical",
        column=name,
        message=f"{counted(bad, 'value')} of {name} {'is' if bad == 1 else 'are'} not {ARTICLES[kind]}{reason_for(values, kind)}.",
        seen=shown(dict.fromkeys(values)),
        expected=kind,
        count=bad,
        lines=lines,
    )


ARTICLES = {"integer": "an integer", "number": "a finite number", "boolean": "a boolean"}


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
            as_text = ", ".join(f"CAST({name_of(name)} AS VARCHAR) AS {name_of(name)}" for name in header.columns)
            relation = f"(SELECT {as_text} FROM {relation})"
            try:
                reading.source.rows = write(connection, relation, header.columns, contract, part, otherwise="error('not of its type')")
                reading.parts = part
            except duckdb.InvalidInputException:
                rows = int(one(connection.execute(f"SELECT count(*) FROM {relation}"))[0])
                write_checked(connection, reading, relation, rows, header.columns, contract, part)
        except duckdb.Error as error:
            reading.findings.append(damaged(error))


def damaged(error: Exception) -> Finding:
    return Finding(
        id="not-a-table",
        severity="critical",
        message="The Parquet file is damaged or incomplete. Copy or write it again.",
        seen=str(error).splitlines()[0][:200],
        expected="a whole Parquet file",
        count=1,
    )
