"""Which rows are held out: decided by what the model sees of a row, unless the contract names a group or a time.

A row's side follows from a hash of its features, as float32 where they are numbers. So it never changes sides when data is
added or the order changes, rows that are equal to the model stay together whatever their identifiers say, and a label that
is corrected later does not move its row. A larger share keeps the rows of a smaller one. With `split.group` the hash is of
that column alone. With `split.time` the newest share is held out: this side moves forward as data grows. With both, groups
are in the order in which they first come, and the newest of them are held out.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.arrays import Mask
from pushline.data.contract.column import Column
from pushline.data.contract.contract import Contract, Split
from pushline.data.files.table import name_of
from pushline.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

BITS = 32
ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}.*)?$"


def columns_of(contract: Contract) -> tuple[Column, ...]:
    """The columns whose hash decides a row's side, in the order of their names: the group, or what every model may see."""
    if contract.split is not None and contract.split.group is not None:
        return (contract.by_name[contract.split.group],)
    seen = contract.features() or contract.features(use_known_after=True)
    return tuple(sorted(seen, key=lambda column: column.name))


def split_id(contract: Contract) -> str:
    """Names how sides are decided: models of one id hold out the same rows, those of two may have learned from each other's."""
    if (split := contract.split) is not None:
        by = "-".join(kind for kind, name in (("group", split.group), ("time", split.time)) if name is not None)
        names = "\n".join(split.columns)
        return f"{by}-{hashlib.sha256(names.encode()).hexdigest()[:12]}"
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


def estimates(contract: Contract) -> str:
    """What figures on the hold-out are figures for."""
    split = contract.split
    if split is None:
        return "rows like these, drawn as these were"
    after = f"the time after what training has seen, by {split.time}"
    if split.group is None:
        return after
    return f"values of {split.group} that no training has seen" + (f", in {after}" if split.time is not None else "")


def moments(values: "pd.Series[Any]") -> np.ndarray[Any, Any]:
    """The values of a time column as something that has an order. Raises DataError for text that is no ISO date."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        return np.asarray(values, dtype=np.float64)
    wrong = ~values.astype(str).str.match(ISO)
    if wrong.any():
        raise DataError(
            f"The table can't be split by {values.name}.",
            why=f"{int(wrong.sum()):,} of its {len(values):,} values are no ISO dates, such as {str(values[wrong].iloc[0])[:40]!r}.",
            do="Write dates as 2026-11-27 (with a time behind them as 2026-11-27T08:30), or take `split.time` out of the contract.",
        )
    return np.asarray(values.astype(str), dtype=object)


def newest(values: np.ndarray[Any, Any], share: float) -> Mask:
    """The newest rows, about `share` of all; rows of one moment stay together."""
    rows = round(share * len(values))
    if not rows:
        return np.zeros(len(values), dtype=bool)
    edge = np.sort(values)[len(values) - rows]
    wide, narrow = np.asarray(values >= edge), np.asarray(values > edge)
    closer = narrow.any() and abs(int(narrow.sum()) - rows) < abs(int(wide.sum()) - rows)
    return narrow if closer else wide


def arrivals(frame: "pd.DataFrame", split: Split) -> np.ndarray[Any, Any]:
    """The moment by which each row is held out: its own, or with groups that of its group's first row."""
    import pandas as pd

    values = moments(frame[split.time])
    if split.group is None:
        return values
    return np.asarray(pd.Series(values).groupby(frame[split.group].astype(str).to_numpy()).transform("min"))


def held_since(frame: "pd.DataFrame", split: Split, since: str) -> Mask:
    """The rows that a hold-out which begins at the moment `since` would hold, as a mask."""
    values = arrivals(frame, split)
    return np.asarray(values >= (float(since) if values.dtype == np.float64 else since), dtype=bool)


def gaps_of(frame: "pd.DataFrame", split: Split | None, held: Mask) -> list[tuple[Mask, str]]:
    """Rows that are neither learned from nor judged, so that nothing of the held-out time or groups is known: masks with reasons."""
    import pandas as pd

    if split is None or split.time is None or not held.any():
        return []
    values = moments(frame[split.time])
    edge, gaps = values[held].min(), []
    if split.group is not None:
        gaps.append((~held & np.asarray(values >= edge, dtype=bool), f"{split.group}: came before, and this row is of the held-out time"))
    if not split.embargo:
        return gaps
    if values.dtype == np.float64:
        near = (values < edge) & (values > edge - split.embargo)
    else:
        dates = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce")
        begin = pd.to_datetime(edge, format="ISO8601", utc=True)
        near = np.asarray((dates < begin) & (dates > begin - pd.Timedelta(days=split.embargo)))
    return [*gaps, (~held & near, f"{split.time}: within the embargo")]


def split_of(frame: "pd.DataFrame", contract: Contract, share: float) -> Mask:
    """The rows of `frame` that are held out, as a mask: one bool a row, in its order."""
    import duckdb

    if contract.split is not None and contract.split.time is not None:
        return newest(arrivals(frame, contract.split), share)

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("data", frame)
        held = connection.execute(f"SELECT {holdout_sql(contract, share)} AS held FROM data").fetchnumpy()["held"]
    return np.asarray(held, dtype=bool)
