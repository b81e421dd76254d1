"""The label as class numbers, whatever type the table gives it."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.data.contract.contract import Contract

if TYPE_CHECKING:
    import pandas as pd

NO_CLASS = -1
Codes = np.ndarray[Any, np.dtype[np.int64]]


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
