"""The label as numbers, whatever type the table gives it: positions of classes, or a quantity."""

from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.data.contract.contract import Contract

if TYPE_CHECKING:
    import pandas as pd

NO_CLASS = -1
QUANTILES = 10  # strata of a quantity
Codes = np.ndarray[Any, np.dtype[np.int64]]
Targets = np.ndarray[Any, Any]  # int64 positions of classes, or float64 quantities


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
