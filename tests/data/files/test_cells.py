from pathlib import Path

import duckdb
import pandas as pd
import pytest

from pushline.data.contract import Column
from pushline.data.files.cells import bad_cells, reason_for, typed


def read(kind: str, text: str, folder: Path) -> object:
    """The typed value of a cell of a Parquet file, or `bad`."""
    column = Column(name="c", type=kind)  # type: ignore[arg-type]
    file = folder / "cells.parquet"
    pd.DataFrame({"cell": [text]}).to_parquet(file)
    if kind != "string" and bad_cells(duckdb.cursor(), file, column, "cell")[0]:
        return "bad"
    with duckdb.connect() as connection:
        ((value,),) = connection.execute(f"SELECT {typed(column, 'cell', 'NULL')} FROM read_parquet('{file}')").fetchall()
    return value


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "57", 57),
        ("integer", "-3", -3),
        ("integer", "+3", 3),
        ("integer", "007", 7),
        ("integer", "57.0", 57),
        ("integer", " 57 ", 57),
        ("integer", "9007199254740993", 9007199254740993),
        ("integer", "", None),
        ("integer", "57.5", "bad"),
        ("integer", "1e3", "bad"),
        ("integer", "1_000", "bad"),
        ("integer", "0x1F", "bad"),
        ("integer", "1,000", "bad"),
        ("integer", "99999999999999999999", "bad"),
        ("integer", "true", "bad"),
        ("number", "1.5", 1.5),
        ("number", "-1e-3", -0.001),
        ("number", "92.89299999999999", 92.89299999999999),
        ("number", "", None),
        ("number", "nan", "bad"),
        ("number", "-inf", "bad"),
        ("number", "1e999", "bad"),
        ("number", "1_0.5", "bad"),
        ("number", "1,5", "bad"),
        ("boolean", "true", True),
        ("boolean", "No", False),
        ("boolean", "", None),
        ("boolean", "maybe", "bad"),
        ("string", "", None),
        ("string", " yes", " yes"),
        ("string", "NA", "NA"),
    ],
)
def test_a_cell_is_its_typed_value_or_bad(kind: str, text: str, value: object, tmp_path: Path) -> None:
    assert read(kind, text, tmp_path) == value


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("number", ["inf"], "infinite"),
        ("number", ["5,191.0"], "thousand separators"),
        ("number", ["1'000"], "thousand separators"),
        ("number", ["93,994"], "a comma for thousands or for decimals"),
        ("number", ["93,994", "93,2"], "decimal comma"),
        ("number", ["1,5"], "decimal comma"),
        ("integer", ["1.5"], "fraction"),
        ("integer", ["9" * 30], "64 bits"),
        ("number", ["n/a"], "text"),
        ("number", ["?"], ""),
    ],
)
def test_what_does_not_fit_is_named(kind: str, values: list[str], said: str) -> None:
    assert said in reason_for(values, kind)
