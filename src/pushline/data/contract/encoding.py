"""Raw columns as the numeric matrix every model is trained on and scores, and the label as numbers: one piece of code for both.

A number is itself as float32; a missing one is NaN. A string is the position of its value in the contract's `allowed`
list; a missing value, or one not in the list, is -1. A boolean is 0 or 1, missing -1. A date is its hours since 1970, missing NaN.
A label, whatever type the table gives it, is the position of its class, or a quantity.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from msgspec import Struct

from pushline.data.contract.column import Column
from pushline.data.contract.contract import Contract
from pushline.data.contract.dates import hours_by_text, hours_or_none

if TYPE_CHECKING:
    import pandas as pd

MISSING_CATEGORY = -1.0
NO_CLASS = -1
QUANTILES = 10  # strata of a quantity
Codes = np.ndarray[Any, np.dtype[np.int64]]
Targets = np.ndarray[Any, Any]  # int64 positions of classes, or float64 quantities


class EncodedColumn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One column of the matrix."""

    name: str
    kind: Literal["number", "category", "boolean", "date", "datetime"]
    categories: tuple[str, ...] = ()

    @property
    def is_date(self) -> bool:
        return self.kind in ("date", "datetime")


class Encoding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The columns of the matrix, in its order."""

    columns: tuple[EncodedColumn, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def tables(self) -> tuple[Mapping[Any, float] | None, ...]:
        """For each column its codes by value; None for a number or a date."""
        tables: list[Mapping[Any, float] | None] = []
        for column in self.columns:
            if column.kind in ("number", "date", "datetime"):
                tables.append(None)
            elif column.kind == "boolean":
                tables.append({False: 0.0, True: 1.0})
            else:
                tables.append({value: float(code) for code, value in enumerate(column.categories)})
        return tuple(tables)


def encoding_of(columns: Sequence[Column]) -> Encoding:
    """The encoding of a contract's feature columns, in the contract's order."""
    encoded = []
    for column in columns:
        if column.type == "string":
            encoded.append(EncodedColumn(name=column.name, kind="category", categories=column.allowed or ()))
        elif column.type == "integer":
            encoded.append(EncodedColumn(name=column.name, kind="number"))
        else:
            encoded.append(EncodedColumn(name=column.name, kind=column.type))
    return Encoding(columns=tuple(encoded))


def encode_frame(encoding: Encoding, frame: "pd.DataFrame") -> np.ndarray[Any, np.dtype[np.float32]]:
    """The matrix of a frame that holds the raw columns: float32, one row a row, columns in the encoding's order."""
    matrix = np.empty((len(frame), len(encoding.columns)), dtype=np.float32)
    for position, (column, table) in enumerate(zip(encoding.columns, encoding.tables, strict=True)):
        values = frame[column.name]
        if column.is_date:
            matrix[:, position] = values.map(hours_by_text(values, column.kind)).to_numpy(dtype=np.float32, na_value=np.nan)
        elif table is None:
            matrix[:, position] = values.to_numpy(dtype=np.float32, na_value=np.nan)
        else:
            matrix[:, position] = values.map(table).to_numpy(dtype=np.float32, na_value=MISSING_CATEGORY)
    return matrix


def encode_rows(encoding: Encoding, rows: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The matrix of rows as a request holds them: float32, columns in the encoding's order."""
    matrix = np.empty((len(rows), len(encoding.columns)), dtype=np.float32)
    for position, (column, table) in enumerate(zip(encoding.columns, encoding.tables, strict=True)):
        name = column.name
        if column.is_date:
            hours = (hours_or_none(row.get(name), column.kind) for row in rows)
            matrix[:, position] = [np.nan if value is None else value for value in hours]
        elif table is None:
            values = [row.get(name) for row in rows]
            matrix[:, position] = [np.nan if value is None else value for value in values]
        else:
            matrix[:, position] = [table.get(row.get(name), MISSING_CATEGORY) for row in rows]
    return matrix


def as_text(value: Any) -> str:
    """A label as the contract writes it: `1.0` of a column of whole numbers is `1`, a boolean is `true` or `false`."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def class_codes(contract: Contract, labels: "pd.Series[Any]") -> Codes:
    """Each row's position in `contract.classes`; NO_CLASS for an empty label or one that is none of them."""
    position = {name: number for number, name in enumerate(contract.classes)}
    table = {value: position.get(as_text(value), NO_CLASS) for value in labels.dropna().unique()}
    codes: Codes = labels.map(table).to_numpy(dtype=np.float64, na_value=NO_CLASS).astype(np.int64)
    return codes


def targets_of(contract: Contract, labels: "pd.Series[Any]") -> Targets:
    """What a model learns: class codes, or for a quantity float64, NaN where it is missing."""
    if not contract.is_regression:
        return class_codes(contract, labels)
    return np.asarray(labels.to_numpy(dtype=np.float64, na_value=np.nan))


def is_usable(targets: Targets) -> Any:
    """The rows that have a label, as a mask."""
    return np.isfinite(targets) if is_quantity(targets) else targets != NO_CLASS


def is_quantity(targets: Targets) -> bool:
    return bool(targets.dtype.kind == "f")


def strata_of(targets: Targets) -> Codes:
    """Numbers of what shall be alike in every fold: the class, or about a tenth of a quantity's rows."""
    if not is_quantity(targets):
        return targets
    edges = np.unique(np.quantile(targets, np.arange(1, QUANTILES) / QUANTILES))
    return np.searchsorted(edges, targets, side="right")
