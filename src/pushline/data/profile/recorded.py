"""Inputs that the service kept, as a typed table.

Where the setting serving.record says so, the service writes one JSON line a row beside its log, one file a day:
`.pushline/logs/live-scored/2026-11-24.jsonl` with `{"at", "model_version", "row", ...}` and nothing of who sent it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from pushline.data.contract import Column, Contract
from pushline.errors import DataUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

LIVE = Path("logs") / "live-scored"  # under .pushline/; a candidate's rows are generated ones of its load test
BATCH = 20_000  # rows held at once

RecordedValues = dict[str, str | int | float | bool | None]


class RecordedRow(Struct, frozen=True):
    """One row that was answered; what else the line holds is not needed here."""

    at: datetime
    model_version: str
    row: RecordedValues


def rows_of(folder: Path, *, days: float | None = None, version: str | None = None) -> Iterator[RecordedRow]:
    """The kept rows of `folder`; lines that were cut off by a kill are left out.

    `days`: only the newest so many; `version`: only those that this model version answered.
    """
    since = datetime.now(UTC) - timedelta(days=days) if days is not None else None
    decoder = msgspec.json.Decoder(RecordedRow)
    for file in sorted(folder.glob("*.jsonl")):
        with file.open("rb") as stream:
            for line in stream:
                try:
                    kept = decoder.decode(line)
                except msgspec.DecodeError:  # cut off, or a line of a log
                    continue
                at = kept.at if kept.at.tzinfo else kept.at.replace(tzinfo=UTC)
                if (since is None or at >= since) and (version is None or kept.model_version == version):
                    yield kept


def write_recorded(folder: Path, contract: Contract, table: Path, *, days: float | None = None, version: str | None = None) -> int:
    """Write the recorded rows to `table` (Parquet with the contract's types) and return how many there are.

    Columns that none of the first BATCH rows holds are left out. Raises DataUnavailable where nothing was recorded.
    """
    from pyarrow import parquet

    rows = 0
    writer: parquet.ParquetWriter | None = None
    columns: list[Column] = []
    try:
        for batch in batches(rows_of(folder, days=days, version=version)):
            if writer is None:
                columns = [column for column in contract.columns if any(column.name in row for row in batch)]
                writer = parquet.ParquetWriter(table, schema_of(columns))
            writer.write_table(table_of_rows(batch, columns))
            rows += len(batch)
    finally:
        if writer is not None:
            writer.close()
    if rows == 0:
        raise DataUnavailable(
            f"No inputs are kept in {folder}.",
            why="The service keeps them only where the setting serving.record says so, for serving.record_days.",
            do="Set `record` in [tool.pushline.serving] of pyproject.toml, or name a file: `pushline drift FILE`.",
        )
    return rows


def batches(rows: Iterator[RecordedRow]) -> Iterator[list[RecordedValues]]:
    while batch := [kept.row for kept in islice(rows, BATCH)]:
        yield batch


def schema_of(columns: list[Column]) -> "pa.Schema":
    import pyarrow as pa

    kinds = {"integer": pa.int64(), "number": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}
    return pa.schema([(column.name, kinds[column.type]) for column in columns])


def table_of_rows(rows: list[RecordedValues], columns: list[Column]) -> "pa.Table":
    """Rows as a table; a value that is not of its column's type is missing (an older contract may have allowed it)."""
    import pyarrow as pa

    kinds: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "string": (str,), "boolean": (bool,)}
    made = {}
    for column in columns:
        values = (row.get(column.name) for row in rows)
        kind = kinds[column.type]
        made[column.name] = [
            value if isinstance(value, kind) and (column.type == "boolean" or not isinstance(value, bool)) else None for value in values
        ]
    return pa.table(made, schema=schema_of(columns))
