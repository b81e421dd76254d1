"""A table file (CSV or Parquet) as something DuckDB can query, with the contract's types."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pushline.data.contract import Contract
from pushline.data.files.version import PARQUET
from pushline.errors import DataCorrupt, DataUnavailable, TargetError
from pushline.files import cannot_write

if TYPE_CHECKING:
    import duckdb

MEMORY, LARGER = "256MB", "400MB"  # while reading a file, and for questions about a whole table
OFFLINE: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
KEPT_BYTES = 20_000_000  # a file up to this size is read once, not at each question
TYPES = {"integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR", "boolean": "BOOLEAN", "date": "VARCHAR", "datetime": "VARCHAR"}


def name_of(column: str) -> str:
    """A column's name as SQL has it."""
    return '"' + column.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def relation_of(file: Path, contract: Contract) -> str:
    """What stands behind FROM to read `file`: Parquet as it is, anything else as CSV with the contract's types."""
    path = literal(str(file))
    if file.suffix == PARQUET:
        return f"read_parquet({path})"
    types = ", ".join(f"{literal(column.name)}: {literal(TYPES[column.type])}" for column in contract.columns)
    return f"read_csv({path}, header=true, delim={literal(contract.delimiter)}, quote='\"', escape='\"', nullstr='', types={{{types}}})"


@contextmanager
def database(scratch: Path | None = None, memory: str = MEMORY) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A DuckDB that keeps to its memory, spills into `scratch` or a folder of its own, and never downloads an extension.

    Raises TargetError where the disk or the memory does not suffice: that is no fault of the data.
    """
    import duckdb

    with ExitStack() as held:
        try:
            spill = held.enter_context(tempfile.TemporaryDirectory(prefix="pushline-", dir=scratch, ignore_cleanup_errors=True))
        except OSError as error:
            raise cannot_write(scratch or Path(tempfile.gettempdir()), error) from error
        config = {**OFFLINE, "memory_limit": memory, "threads": 2, "temp_directory": spill}
        connection = held.enter_context(duckdb.connect(config=config))
        with suppress(duckdb.InvalidInputException):  # a notebook without widgets has no bar to switch off
            connection.execute("SET enable_progress_bar = false")
        try:
            yield connection
        except duckdb.OperationalError as error:
            raise TargetError(
                "The typed table could not be written or asked.",
                why=str(error).splitlines()[0][:300],
                do=f"Free some space on the disk of {Path(spill).parent}, or some memory, then run the same command again.",
            ) from error


@contextmanager
def open_table(file: Path, contract: Contract) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection with the table `data`, which is the file.

    Raises DataUnavailable where there is no such file, DataCorrupt where it can't be read with the contract's types.
    """
    import duckdb

    if not file.is_file():
        raise DataUnavailable(f"{file} does not exist.", do="Name a CSV or Parquet file, or run `pushline check-data` first.")
    with database(memory=LARGER) as connection:
        try:
            kept = "TEMP TABLE" if file.stat().st_size < KEPT_BYTES else "VIEW"
            connection.execute(f"CREATE {kept} data AS FROM {relation_of(file, contract)}")
        except duckdb.Error as error:
            raise unreadable(file, error) from error
        yield connection


def unreadable(file: Path, error: Exception) -> DataCorrupt:
    """The error for a file that is not the table the contract describes."""
    first = str(error).strip().splitlines()[0]
    return DataCorrupt(f"{file.name} can't be read as the table of the contract.", why=first, do=f"`pushline check-data {file}` says more.")
