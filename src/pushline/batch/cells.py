"""One column of the input as the type the contract says, and which of its cells can't be."""

from typing import Any

import numpy as np

from pushline.arrays import Mask
from pushline.data.contract import Column
from pushline.data.files.scan import is_utf8

WHOLE = r"^\s*[+-]?[0-9]+([.]0*)?\s*$"
NUMBER = r"^\s*[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?\s*$"
LARGE = 2.0**62  # whole numbers below fit 64 bits
TRUE, FALSE = ["true", "True", "TRUE", "t", "1", "yes"], ["false", "False", "FALSE", "f", "0", "no"]


def arrow_type(column: Column) -> Any:
    import pyarrow as pa

    if column.is_text:
        return pa.dictionary(pa.int32(), pa.string())
    return {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}[column.type]


def cast_cells(cells: Any, column: Column, kind: Any) -> tuple[Any, Any]:
    """For cells of text: which are of the column's type (null where empty), and all of them typed, null where not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.is_text:
        return pc.is_valid(cells), cells.dictionary_encode()
    if column.type == "boolean":
        true, false = (pc.is_in(cells, value_set=pa.array(words)) for words in (TRUE, FALSE))
        fits = pc.or_(true, false)
        return fits, pc.if_else(fits, true, None)
    fits = pc.match_substring_regex(cells, WHOLE if column.type == "integer" else NUMBER)
    numbers = pc.cast(pc.utf8_trim_whitespace(pc.if_else(fits, cells, None)), pa.float64())
    if column.type == "integer":
        inside = pc.fill_null(pc.less(pc.abs(numbers), LARGE), False)
        return pc.and_(fits, inside), pc.cast(pc.if_else(inside, numbers, None), kind)
    return fits, numbers


def fit_cells(cells: Any, column: Column, kind: Any) -> tuple[Mask, Any]:
    """For typed cells of a Parquet file: which fit the column's type, and all of them as that type, null where not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    everything = np.ones(len(cells), dtype=bool)
    kinds = pa.types
    if column.is_date and (kinds.is_date(cells.type) or kinds.is_timestamp(cells.type)):
        cells = cells.cast(pa.string())
    if kinds.is_string(cells.type) or kinds.is_large_string(cells.type) or kinds.is_string_view(cells.type):
        readable = valid_text(cells)
        fits, typed = cast_cells(pc.if_else(pa.array(readable), cells.cast(pa.string()), None), column, kind)
        return np.asarray(pc.fill_null(fits, True)) & readable, typed
    if column.type == "boolean" and kinds.is_boolean(cells.type):
        return everything, cells
    is_number = kinds.is_integer(cells.type) or kinds.is_floating(cells.type) or kinds.is_decimal(cells.type)
    if not is_number or column.type not in ("integer", "number"):
        return np.asarray(cells.is_null()), pa.nulls(len(cells), pa.string() if column.is_text else kind)
    numbers = cells.cast(pa.float64(), safe=False)  # exact is what float32 is at the end
    if column.type == "number":
        return everything, numbers
    whole = np.asarray(pc.fill_null(pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), LARGE)), True))
    return whole, pc.cast(pc.if_else(pa.array(whole), numbers, None), kind, safe=False)


def valid_text(cells: Any) -> Mask:
    """Which cells of a text column of a Parquet file are UTF-8."""
    import pyarrow as pa

    try:
        cells.validate(full=True)
    except pa.ArrowInvalid:
        values = cells.cast(pa.large_binary()).to_pylist()
        return np.array([value is None or is_utf8(value) for value in values], dtype=bool)
    return np.ones(len(cells), dtype=bool)
