"""Which rows are held out: decided by each row's content alone.

A row's side follows from a hash of all its columns but the label, so it never changes sides when data is added or the
order changes, equal rows stay together, and a label that is corrected later does not move it. A larger share keeps the
rows of a smaller one.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.data.contract import Contract
from pushline.data.table import name_of

if TYPE_CHECKING:
    import pandas as pd

BITS = 32


def holdout_sql(contract: Contract, share: float) -> str:
    """A condition in DuckDB's SQL, true for the rows that are held out.

    Each value is written so that neither library versions nor a file's other copy can change it (numbers with twelve
    digits, so 92.893 is 92.89299999999999), with its length before it, in the order of the columns' names; md5 of that.
    """
    if share >= 1:
        return "true"
    fields = ", ".join(field_sql(column.name, column.type) for column in sorted(contract.inputs, key=lambda column: column.name))
    return f"left(md5(concat({fields})), {BITS // 4}) < '{round(share * 2**BITS):0{BITS // 4}x}'"


def field_sql(name: str, kind: str) -> str:
    """One value as text that is the same everywhere; a missing one is `-`."""
    column = name_of(name)
    if kind == "number":
        number = f"CAST({column} AS DOUBLE)"
        text = f"CASE WHEN isnan({number}) THEN NULL ELSE printf('%.12g', {number} + 0.0) END"  # + 0.0: no -0
    elif kind == "integer":
        text = f"CAST(CAST({column} AS BIGINT) AS VARCHAR)"
    elif kind == "boolean":
        text = f"CASE {column} WHEN true THEN 'true' WHEN false THEN 'false' END"
    else:
        text = column
    return f"coalesce(length({text}) || ':' || {text}, '-')"


def split_of(frame: "pd.DataFrame", contract: Contract, share: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """The rows of `frame` that are held out, as a mask: one bool a row, in its order."""
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("data", frame)
        held = connection.execute(f"SELECT {holdout_sql(contract, share)} AS held FROM data").fetchnumpy()["held"]
    return np.asarray(held, dtype=bool)
