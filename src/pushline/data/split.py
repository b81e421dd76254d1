"""Which rows are held out: decided by what the model sees of a row, and by nothing else.

A row's side follows from a hash of its features, as float32 where they are numbers. So it never changes sides when data is
added or the order changes, rows that are equal to the model stay together whatever their identifiers say, and a label that
is corrected later does not move its row. A larger share keeps the rows of a smaller one.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.data.contract import Column, Contract
from pushline.data.table import name_of

if TYPE_CHECKING:
    import pandas as pd

BITS = 32


def columns_of(contract: Contract) -> tuple[Column, ...]:
    """The columns that decide a row's side, in the order of their names: what every model of the contract may see."""
    seen = contract.features() or contract.features(use_known_after=True)
    return tuple(sorted(seen, key=lambda column: column.name))


def split_id(contract: Contract) -> str:
    """Names how sides are decided: models of one id hold out the same rows, those of two may have learned from each other's."""
    said = "\n".join(f"{column.name}: {column.type}" for column in columns_of(contract))
    return f"features-{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def holdout_sql(contract: Contract, share: float) -> str:
    """A condition in DuckDB's SQL, true for the rows that are held out.

    Each value is written so that neither library versions nor a file's other copy can change it (numbers as float32 with
    nine digits, so 92.893 is 92.89299999999999), with its length before it, in the order of the columns' names; md5 of that.
    """
    if share >= 1:
        return "true"
    fields = ", ".join(field_sql(column.name, column.type) for column in columns_of(contract))
    return f"left(md5(concat({fields})), {BITS // 4}) < '{round(share * 2**BITS):0{BITS // 4}x}'"


def field_sql(name: str, kind: str) -> str:
    """One value as text that is the same everywhere; a missing one is `-`."""
    column = name_of(name)
    if kind in ("number", "integer"):
        number = f"CAST({column} AS FLOAT)"
        text = f"CASE WHEN isnan({number}) THEN NULL ELSE printf('%.9g', CAST({number} + 0.0 AS DOUBLE)) END"  # + 0.0: no -0
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
