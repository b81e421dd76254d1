"""Which rows of a hold-out the champion's data had already, so that old and new rows are looked at apart."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from pushline.results import DataFile

if TYPE_CHECKING:
    import pandas as pd

Mask = np.ndarray[Any, np.dtype[np.bool_]]
FILES = "data_files"  # tag of a version: the data versions of the files it learned from


class DataParts(Struct, frozen=True, kw_only=True):
    """The files that a run's data came from, and the typed table of all of them in this order."""

    files: tuple[DataFile, ...]
    table: Callable[[], Path]  # made where it is not on this machine

    @property
    def tag(self) -> str:
        return ",".join(file.version[:16] for file in self.files)

    def grown_since(self, tag: str) -> bool:
        """Whether this data is what `tag` names with more files behind or between."""
        known = set(tag.split(",")) if tag else set()
        return bool(known) and known < {file.version[:16] for file in self.files}

    def old_rows(self, frame: "pd.DataFrame", tag: str) -> Mask | None:
        """The rows of `frame` that a file named in `tag` holds; None where rows and files can't be told apart.

        `frame` has columns of the table and any order of rows.
        """
        import duckdb

        known = set(tag.split(","))
        table, spans, start = self.table(), [], 0
        for file in self.files:
            if file.version[:16] in known:
                spans.append(f"(file_row_number >= {start} AND file_row_number < {start + file.rows})")
            start += file.rows
        columns = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in frame.columns]
        same = " AND ".join(f"rows.{name} IS NOT DISTINCT FROM old.{name}" for name in columns)
        source = f"read_parquet('{str(table).replace(chr(39), chr(39) * 2)}', file_row_number = true)"
        with duckdb.connect(config={"threads": 2}) as connection:
            counted = connection.execute(f"SELECT count(*) FROM {source}").fetchall()  # noqa: S608 - the path is quoted
            if counted != [(start,)]:
                return None
            connection.register("held", frame.assign(place=np.arange(len(frame))))
            found = connection.execute(
                f"WITH old AS (SELECT DISTINCT {', '.join(columns)} FROM {source} WHERE {' OR '.join(spans)}) "  # noqa: S608 - quoted
                f"SELECT place FROM held AS rows SEMI JOIN old ON {same}"
            ).fetchnumpy()["place"]
        mask = np.zeros(len(frame), dtype=bool)
        mask[np.asarray(found, dtype=np.int64)] = True
        return mask
