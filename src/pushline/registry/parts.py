"""Which rows of a hold-out the champion's data had already, so that old and new rows are looked at apart."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from pushline.arrays import Mask
from pushline.data.files.table import literal, name_of
from pushline.results import DataFile

if TYPE_CHECKING:
    import pandas as pd

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

        `frame` has columns of the table and any order of rows. Its columns stand under numbers here, so that none can be
        called like ours.
        """
        import duckdb

        known = set(tag.split(","))
        table, spans, start = self.table(), [], 0
        for file in self.files:
            if file.version[:16] in known:
                spans.append(f"(file_row_number >= {start} AND file_row_number < {start + file.rows})")
            start += file.rows
        numbered = [f"c{number}" for number in range(len(frame.columns))]
        columns = ", ".join(f"{name_of(name)} AS {number}" for name, number in zip(frame.columns, numbered, strict=True))
        same = " AND ".join(f"rows.{number} IS NOT DISTINCT FROM old.{number}" for number in numbered)
        source = f"read_parquet({literal(str(table))}, file_row_number = true)"
        with duckdb.connect(config={"threads": 2}) as connection:
            counted = connection.execute(f"SELECT count(*) FROM {source}").fetchall()  # noqa: S608 - the path is quoted
            if counted != [(start,)]:
                return None
            connection.register("held", frame.set_axis(numbered, axis="columns").assign(place=np.arange(len(frame))))
            found = connection.execute(
                f"WITH old AS (SELECT DISTINCT {columns} FROM {source} WHERE {' OR '.join(spans)}) "  # noqa: S608 - quoted
                f"SELECT place FROM held AS rows SEMI JOIN old ON {same}"
            ).fetchnumpy()["place"]
        mask = np.zeros(len(frame), dtype=bool)
        mask[np.asarray(found, dtype=np.int64)] = True
        return mask
