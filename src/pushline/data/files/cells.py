"""One cell, from text to the contract's type: the SQL for it, and the words for what does not fit."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pushline.data.checks.findings import MOST_LINES
from pushline.data.contract import Column
from pushline.data.contract.dates import date_sql
from pushline.data.files.table import TYPES, literal

if TYPE_CHECKING:
    import duckdb

WHOLE = r"\s*[+-]?[0-9]+([.]0*)?\s*"  # 57 and 57.0, as a program with floats writes whole numbers


def typed(column: Column, cell: str, otherwise: str) -> str:
    """SQL for `cell` (text) as the column's type; an empty one is NULL, and `otherwise` stands for one that does not fit."""
    if column.type == "string":
        return f"nullif({cell}, '')"
    value = f"TRY_CAST({cell} AS {TYPES[column.type]})"
    return f"CASE WHEN {cell} IS NULL OR {cell} = '' THEN NULL WHEN {fits(column, cell)} THEN {value} ELSE {otherwise} END"


def fits(column: Column, cell: str) -> str:
    """SQL that is true where a cell that is not empty is of the column's type."""
    if column.is_date:
        return date_sql(cell, column.type)
    value = f"TRY_CAST({cell} AS {TYPES[column.type]})"
    if column.type == "integer":
        # DuckDB rounds 1.5 and reads 1_000; the comparison is the fast way for the usual spelling.
        return f"(coalesce(CAST({value} AS VARCHAR) = {cell}, false) OR ({value} IS NOT NULL AND regexp_full_match({cell}, '{WHOLE}')))"
    if column.type == "number":
        return f"(coalesce(isfinite({value}), false) AND NOT contains({cell}, '_'))"
    return f"({value} IS NOT NULL)"


def bad_cells(
    connection: "duckdb.DuckDBPyConnection", parquet: Path, column: Column, cell: str
) -> tuple[int, tuple[int, ...], tuple[str, ...]]:
    """How many cells of the column are not of its type, the first rows that hold one, and their values."""
    found = connection.execute(
        f"SELECT count(*), min(row, {MOST_LINES}), arg_min(cell, row, {MOST_LINES}) "
        f"FROM (SELECT {cell} AS cell, file_row_number AS row FROM read_parquet({literal(str(parquet))}, file_row_number=true)) "
        f"WHERE cell <> '' AND NOT {fits(column, 'cell')}"
    ).fetchone()
    if not found or not found[0]:
        return 0, (), ()
    return int(found[0]), tuple(found[1]), tuple(found[2])


def reason_for(values: Sequence[str], kind: str) -> str:
    """What the values look like, as the end of a sentence; empty where they look like nothing known."""
    cells = [value.strip().lower() for value in values]
    value = cells[0] if cells else ""
    if re.fullmatch(r"[+-]?(inf|infinity|nan)", value):
        return " but infinite or not a number"
    if re.fullmatch(r"[+-]?\d{1,3}([,' _\u00a0\u202f]\d{3})+(\.\d+)?", value):
        decimal = any(re.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})", cell) for cell in cells)
        either = "," in value and "." not in value and value.count(",") == 1
        separators = "a comma for thousands or for decimals" if either else "thousand separators"
        return f"; written with {'a decimal comma' if decimal else separators}"
    if re.fullmatch(r"[+-]?\d+,\d+", value):
        return "; written with a decimal comma"
    if re.fullmatch(r"[+-]?[\d.,]+\s*%", value):
        return "; written with a percent sign"
    if re.fullmatch(r"\u2212[\d.,]+|\([\d.,]+\)", value):
        return "; written with a dash or parentheses in the place of the minus sign"
    if kind == "integer" and re.fullmatch(r"[+-]?\d*\.\d+", value):
        return " but a fraction"
    if kind == "integer" and re.fullmatch(r"[+-]?\d+", value):
        return " of 64 bits"
    return " but text" if re.search(r"[a-z]", value) else ""
