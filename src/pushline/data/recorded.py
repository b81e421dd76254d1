"""Inputs that the service recorded, as a typed table.

The service writes `.pushline/inputs/*.jsonl` where its settings say so: one line a request that was answered,
`{"at": "2026-11-24T08:30:00Z", "model_version": "3", "data": [{...}, ...]}`, with the rows as they came and nothing of who sent them.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from pushline.data.contract import Column, Contract
from pushline.errors import DataUnavailable

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "inputs"  # under .pushline/
BATCH = 20_000  # rows held at once


class Recorded(Struct, frozen=True):
    """One request that was answered."""

    at: datetime
    model_version: str
    data: list[dict[str, str | int | float | bool | None]]


def requests_of(folder: Path, *, days: float | None = None, version: str | None = None) -> Iterator[Recorded]:
    """The recorded requests, oldest file first; lines that were cut off by a kill are left out.

    `days`: only the newest so many; `version`: only those that this model version answered.
    """
    since = datetime.now(UTC) - timedelta(days=days) if days is not None else None
    decoder = msgspec.json.Decoder(Recorded)
    for file in sorted(folder.glob("*.jsonl")):
        with file.open("rb") as stream:
            for line in stream:
                try:
                    request = decoder.decode(line)
                except msgspec.DecodeError:
                    continue
                at = request.at if request.at.tzinfo else request.at.replace(tzinfo=UTC)
                if (since is None or at >= since) and (version is None or request.model_version == version):
                    yield request


def write_recorded(folder: Path, contract: Contract, table: Path, *, days: float | None = None, version: str | None = None) -> int:
    """Write the recorded rows to `table` (Parquet with the contract's types) and return how many there are.

    Columns that no request of the first BATCH rows holds are left out. Raises DataUnavailable where nothing was recorded.
    """
    from pyarrow import parquet

    rows = 0
    writer: parquet.ParquetWriter | None = None
    columns: list[Column] = []
    try:
        for batch in batches(requests_of(folder, days=days, version=version)):
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
            f"No inputs are recorded in {folder}.",
            why="The service records them only where its settings say so, and keeps them for a while.",
            do="Switch recording on in [tool.pushline.serving], or name a file: `pushline drift FILE`.",
        )
    return rows


def batches(requests: Iterator[Recorded]) -> Iterator[list[Mapping[str, Any]]]:
    held: list[Mapping[str, Any]] = []
    for request in requests:
        held += request.data
        if len(held) >= BATCH:
            yield held
            held = []
    if held:
        yield held


def schema_of(columns: list[Column]) -> "pa.Schema":
    import pyarrow as pa

    kinds = {"integer": pa.int64(), "number": pa.float64(), "string": pa.string(), "boolean": pa.bool_()}
    return pa.schema([(column.name, kinds[column.type]) for column in columns])


def table_of_rows(rows: list[Mapping[str, Any]], columns: list[Column]) -> "pa.Table":
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
