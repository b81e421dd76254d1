"""The prediction log as a typed table: what the service was asked, and what it answered.

Where the setting serving.record says so, the service writes one JSON line a row beside its log, one file a day
(`.pushline/logs/live-scored/2026-11-24.jsonl`, see serving/records.py), and nothing of who sent it. DuckDB reads the lines: one that
was cut off by a kill, or blanked by `pushline records delete`, is no row; a value that is not of its column's type is missing
(an older contract may have allowed it). Times are UTC.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pushline.data.contract import Column, Contract
from pushline.data.files.table import TYPES, database, literal, name_of
from pushline.errors import DataUnavailable
from pushline.files import whole_file

if TYPE_CHECKING:
    import pyarrow as pa

LIVE = Path("logs") / "live-scored"  # under .pushline/; a candidate's rows are generated ones of its load test
SAID = {  # what a line holds beside the row
    "at": "TIMESTAMP",
    "release": "VARCHAR",
    "model_version": "VARCHAR",
    "request_id": "VARCHAR",
    "position": "BIGINT",  # of the row in its request
    "result": "VARCHAR",
    "low": "DOUBLE",
    "high": "DOUBLE",
}
SMOKE = "pushline-smoke-"  # how the ids of the requests begin that Pushline itself makes: no client's rows
BEGINNING = datetime(1, 1, 1)  # noqa: DTZ001 - times of the log are UTC without a zone
ASKED = 20_000  # rows that say which columns clients send
JSON_KINDS = {  # of JSON values that are of a column's type
    "BIGINT": "('BIGINT', 'UBIGINT')",
    "DOUBLE": "('BIGINT', 'UBIGINT', 'DOUBLE')",
    "VARCHAR": "('VARCHAR')",
    "BOOLEAN": "('BOOLEAN')",
}


def days_of(folder: Path) -> list[Path]:
    """The log's files that hold something, the oldest first."""
    return [file for file in sorted(folder.glob("*.jsonl")) if file.stat().st_size]


def rows_in(files: Sequence[Path], contract: Contract) -> str:
    """SQL for the rows of the log's files: the columns of SAID, `probability` as a list of one or of all classes, and the struct `row`."""
    said = ", ".join(f"coalesce({name_of(name)}, 0) AS position" if name == "position" else name_of(name) for name in SAID)
    typed = ", ".join(f"{name_of(column.name)} := {typed_value(column)}" for column in contract.inputs)
    return (
        f"SELECT {said}, CASE WHEN json_type(probability) = 'ARRAY' THEN CAST(probability AS DOUBLE[]) "
        f"ELSE [CAST(probability AS DOUBLE)] END AS probability, struct_pack({typed}) AS row FROM {lines_in(files, contract)}"
    )


def lines_in(files: Sequence[Path], contract: Contract) -> str:
    """What stands behind FROM to read the log's lines: every value of a row is JSON still."""
    inputs = ", ".join(f"{name_of(column.name)} JSON" for column in contract.inputs)
    kinds = {**SAID, "probability": "JSON", "row": f"STRUCT({inputs})"}
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in kinds.items())
    listed = ", ".join(literal(str(file)) for file in files)
    read = f"read_json([{listed}], format='newline_delimited', ignore_errors=true, columns={{{columns}}})"
    return f"(SELECT * FROM {read} WHERE \"at\" IS NOT NULL AND NOT starts_with(coalesce(request_id, ''), '{SMOKE}'))"


def typed_value(column: Column) -> str:
    value, kind = f'"row".{name_of(column.name)}', TYPES[column.type]
    plain = f"{value} ->> '$'" if kind == "VARCHAR" else f"TRY_CAST({value} AS {kind})"
    return f"CASE WHEN json_type({value}) IN {JSON_KINDS[kind]} THEN {plain} END"


def day_tables(folder: Path, contract: Contract, place: Path) -> list[Path]:
    """The log's days as Parquet in `place`: a day is read again where its file has grown or the contract has other columns.

    What is no longer in the log is removed there too, so that nothing outlives serving.record_days.
    """
    wanted = {place / f"{file.stem}-{contract.hash}-{file.stat().st_size}.parquet": file for file in days_of(folder)}
    for old in place.glob("*.parquet"):
        if old not in wanted:
            old.unlink()
    for table, file in wanted.items():
        if not table.is_file():
            with whole_file(table, mode=0o600) as half, database() as connection:
                connection.execute(f"COPY ({rows_in([file], contract)}) TO {literal(str(half))} (FORMAT parquet, COMPRESSION zstd)")
    return list(wanted)


def write_recorded(folder: Path, contract: Contract, table: Path, *, days: float | None = None, version: str | None = None) -> int:
    """Write the recorded inputs to `table` (Parquet with the contract's types) and return how many rows there are.

    `days`: only the newest so many; `version`: only those that this model version answered. Columns that must have a value and that
    none of the first ASKED rows holds are left out. Raises DataUnavailable where nothing was recorded.
    """
    since = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days) if days is not None else BEGINNING
    if files := days_of(folder):
        with database() as connection:
            named = [column.name for column in contract.inputs if not column.optional]
            counts = ", ".join(f'count("row".{name_of(name)})' for name in named)
            first = connection.execute(f"SELECT 0, {counts} FROM (FROM {lines_in(files, contract)} LIMIT {ASKED})").fetchone() or ()
            absent = {name for name, count in zip(named, first[1:], strict=True) if not count}
            kept = ", ".join(f'"row".{name_of(column.name)}' for column in contract.inputs if column.name not in absent)
            chosen = f'FROM ({rows_in(files, contract)}) WHERE "at" >= $since AND coalesce(model_version = $version, true)'
            copied = f"COPY (SELECT {kept or 0} {chosen}) TO {literal(str(table))} (FORMAT parquet)"
            [rows] = connection.execute(copied, {"since": since, "version": version}).fetchone() or (0,)
            if rows:
                return int(rows)
    raise DataUnavailable(
        f"No inputs are kept in {folder}.",
        why="The service keeps them only where the setting serving.record says so, for serving.record_days.",
        do="Set `record` in [tool.pushline.serving] of pyproject.toml, or name a file: `pushline drift FILE`.",
    )


def newest_rows(folder: Path, contract: Contract, most: int) -> "pa.Table":
    """The newest `most` recorded inputs, the oldest of them first."""
    import pyarrow as pa

    found: list[pa.Table] = []
    for file in reversed(days_of(folder)):
        with database() as connection:
            wanted = most - sum(map(len, found))
            numbered = f"SELECT row_number() OVER () AS line, * FROM ({rows_in([file], contract)}) ORDER BY line DESC LIMIT {wanted}"
            newest = f"SELECT unnest(row) FROM (SELECT * FROM ({numbered}) ORDER BY line)"
            found.insert(0, connection.sql(newest).to_arrow_table())
        if sum(map(len, found)) >= most:
            break
    return pa.concat_tables(found) if found else pa.table({column.name: [] for column in contract.inputs})
