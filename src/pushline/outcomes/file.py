"""A file of outcomes: the columns that say which row it is, the label as it turned out, and from when on that was known.

`request_id,position,known_at,<label>`: `position` is the row's place in its request (0 where the file does not say), `known_at` a time
(now, where it does not say). With the setting performance.keys those columns of the table stand in the place of request id and position.
Columns that the contract knows only after the event may come along: nothing else can tell them.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pushline.data.contract import Column, Contract
from pushline.data.files import header, scan
from pushline.data.files.reading import read_file
from pushline.data.files.table import literal, name_of
from pushline.errors import CriticalFindings, SettingsError
from pushline.wording import counted

if TYPE_CHECKING:
    import duckdb

REQUEST_ID = Column(name="request_id", type="string", role="identifier", description="`x-request-id` of the answer")
POSITION = Column(name="position", type="integer", role="identifier", minimum=0, missing_at_most=1, description="of the row in its request")
KNOWN_AT = Column(name="known_at", type="string", role="ignored", missing_at_most=1, description="when the outcome became known")
APART = "chr(31)"  # between the parts of a key


def key_columns(contract: Contract, keys: tuple[str, ...]) -> tuple[Column, ...]:
    """Raises SettingsError where the setting performance.keys names what no request holds."""
    known = {column.name: column for column in contract.inputs if column.known == "before"}
    if strange := [name for name in keys if name not in known]:
        raise SettingsError(
            f"`keys` in [tool.pushline.performance] names {', '.join(strange)}.",
            why="A key is a column that requests hold: one of the contract, known before the outcome, and not the label.",
            do="Name such columns, or none: then outcomes find their rows by request id.",
        )
    return tuple(known[name] for name in keys)


def key_of(keys: tuple[str, ...], row: str = "") -> str:
    """SQL for the key of a row: of the log with `row="row."`, of a file without."""
    parts = [f"CAST({row}{name_of(name)} AS VARCHAR)" for name in keys] or ["request_id", "CAST(coalesce(position, 0) AS VARCHAR)"]
    return f"concat_ws({APART}, {', '.join(f'coalesce({part}, {literal(str())})' for part in parts)})"


def read_outcomes(connection: "duckdb.DuckDBPyConnection", file: Path, contract: Contract, keys: tuple[str, ...], folder: Path) -> int:
    """Make the table `told` (key, outcome, known_at, after) of `file`, and return how many of its rows have no outcome yet.

    Raises CriticalFindings with the most basic fault of a file that is none of outcomes.
    """
    names = names_in(file, contract.delimiter)
    by = key_columns(contract, keys) or (REQUEST_ID, *(column for column in (POSITION,) if column.name in names))
    after = [column for column in contract.inputs if column.known == "after" and column.name in names]
    own = (*by, *(column for column in (KNOWN_AT,) if column.name in names), *after, contract.label)
    reading = read_file(file, Contract(name="outcomes", delimiter=contract.delimiter, columns=own), folder, folder / "told.parquet")
    if worst := next((finding for finding in reading.findings if finding.severity == "critical"), None):
        raise refusal(file, worst.message, own, worst.lines)
    known_at = name_of(KNOWN_AT.name) if KNOWN_AT in own else "NULL"
    more = ", ".join(f"{name_of(column.name)} := CAST({name_of(column.name)} AS VARCHAR)" for column in after)
    label = f"CAST({name_of(contract.label.name)} AS VARCHAR)"
    columns = {
        "key": key_of(keys),
        "outcome": label if contract.is_regression else f"regexp_replace({label}, '[.]0$', '')",  # `1.0` of a class is `1`
        "known_at": f"coalesce(TRY_CAST({known_at} AS TIMESTAMP), TIMESTAMP '{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}')",
        "after": f"CAST(to_json(struct_pack({more})) AS VARCHAR)" if more else "CAST(NULL AS VARCHAR)",
        "nameless": " OR ".join(f"{name_of(column.name)} IS NULL" for column in by if not column.optional) or "false",
        "timeless": f"{known_at} IS NOT NULL AND TRY_CAST({known_at} AS TIMESTAMP) IS NULL",
    }
    chosen = ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    first = "" if keys or POSITION in own else ", 0 AS position"
    table = f"(SELECT *{first} FROM read_parquet({literal(str(folder / 'told.parquet'))}))"
    connection.execute(f"CREATE TEMP TABLE told AS SELECT {chosen} FROM {table}")
    if why := fault_of(connection, contract, " and ".join(column.name for column in by if not column.optional)):
        raise refusal(file, why, own)
    waiting = connection.execute("SELECT count(*) FROM told WHERE outcome IS NULL").fetchone() or (0,)
    return int(waiting[0])


def fault_of(connection: "duckdb.DuckDBPyConnection", contract: Contract, names: str) -> str:
    """The most basic fault of the table `told`, as a sentence; empty where it has none."""
    label, classes = contract.label.name, contract.classes
    strange = f"outcome NOT IN ({', '.join(map(literal, classes))})" if classes else "NOT isfinite(CAST(outcome AS DOUBLE))"
    allowed = f"none of {', '.join(classes)}" if classes else "no number"
    counts = f"SELECT count(*), count(*) FILTER (nameless), count(*) FILTER (timeless), count(*) FILTER ({strange}) FROM told"
    rows, nameless, timeless, odd = connection.execute(counts).fetchone() or (0, 0, 0, 0)
    faults = (
        (not rows, "It has no row."),
        (nameless, f"{counted(nameless, 'row')} of it without {names}."),
        (timeless, f"{counted(timeless, 'row')} of it with a known_at that is no time, such as 2026-11-24T10:00:00Z."),
        (odd, f"{counted(odd, 'row')} of it with a {label} that is {allowed}."),
    )
    if first := next((words for found, words in faults if found), ""):
        return first
    twice = "SELECT any_value(key) FROM told WHERE outcome IS NOT NULL GROUP BY key, known_at HAVING count(DISTINCT outcome) > 1 LIMIT 1"
    found = connection.execute(twice).fetchone()
    return f"It tells two outcomes of {' '.join(found[0].split(chr(31)))}, known at the same time." if found else ""


def names_in(file: Path, delimiter: str) -> tuple[str, ...]:
    """The names in the header of a file; none of a file that has no header, which is told when it is read."""
    head = scan.first_bytes(file)
    if file.suffix == ".parquet":
        from pyarrow import ArrowInvalid, parquet

        try:
            return tuple(parquet.read_schema(file).names)
        except (ArrowInvalid, OSError):
            return ()
    return header.fields_of(head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip("\r"), delimiter)


def refusal(file: Path, why: str, own: tuple[Column, ...], lines: tuple[int, ...] = ()) -> CriticalFindings:
    where = f" (lines {', '.join(map(str, lines[:5]))})" if lines else ""
    return CriticalFindings(
        f"{file.name} was not added: it is no file of outcomes.",
        why=f"{why}{where}",
        do=f"Nothing was changed. Its columns are {', '.join(column.name for column in own)}; `pushline docs after` shows one.",
    )
