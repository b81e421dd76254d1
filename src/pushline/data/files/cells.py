"""One cell, from text to the contract's type: the SQL for it, and the words for what does not fit.

So for what the reader refused: rows with too few or too many fields, and quotes that do not close.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushline.data.checks.findings import MOST_LINES
from pushline.data.contract import Column, Contract
from pushline.data.contract.dates import date_sql
from pushline.data.files.header import Header, fields_of
from pushline.data.files.table import TYPES, literal
from pushline.results import Finding
from pushline.wording import counted

if TYPE_CHECKING:
    import duckdb

WHOLE = r"\s*[+-]?[0-9]+([.]0*)?\s*"  # 57 and 57.0, as a program with floats writes whole numbers
MOST_REJECTS = 10_000  # refused lines that are kept in memory


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


def unreadable_rows(error: Exception) -> Finding:
    expected = "CSV: one row a line, fields quoted with double quotes where needed"
    message = "The rows can't be told apart. Write the file anew as plain CSV."
    return Finding("ragged-rows", message, str(error).splitlines()[0][:200], expected)


def row_faults(rejects: list[tuple[Any, ...]], rows: int, header: Header, contract: Contract) -> list[Finding]:
    """Findings about rows with too few or too many fields and about quotes."""
    quotes = [(line, text) for line, kind, text in rejects if kind not in ("MISSING COLUMNS", "TOO MANY COLUMNS")]
    if quotes:
        where = tuple(int(line) for line, _ in quotes[:MOST_LINES])
        message = f"A quote that opens in line {where[0]:,} is not closed where its field ends. Close it, or double quotes within it."
        expected = "fields in double quotes, closed before the next delimiter"
        return [Finding("quotes", message, str(quotes[0][1])[:80], expected, count=len(quotes), lines=where)]
    if not rejects:
        return []
    width = len(header.names)
    lines = tuple(int(line) for line, *_ in rejects[:MOST_LINES])
    first = fields_of(str(rejects[0][2]), contract.delimiter)
    if len(rejects) > rows and contract.delimiter == "," and len(first) > width and is_decimal_comma(first, header.names, contract):
        message = "Numbers are written with a decimal comma, which also separates the fields. Write them with a point, or quote them."
        seen, expected = f"{len(first)} fields in line {lines[0]:,}", f"{width} fields, numbers like 93.994"
        return [Finding("decimal-comma", message, seen, expected, count=len(rejects), lines=lines)]
    return [ragged(rejects, width, lines, first)]


def is_decimal_comma(fields: Sequence[str], names: Sequence[str], contract: Contract) -> bool:
    """Whether there is a field too many for each number that a comma has cut in two, and for nothing else."""
    position = 0
    for name in names:
        column = contract.by_name.get(name)
        whole, *rest = fields[position : position + 2] or ("",)
        cut = column is not None and column.type == "number" and whole.lstrip("+-").isdigit() and bool(rest) and rest[0].isdigit()
        position += 2 if cut else 1
    return position == len(fields)


def ragged(rejects: list[tuple[Any, ...]], width: int, lines: tuple[int, ...], first: Sequence[str]) -> Finding:
    few = sum(kind == "MISSING COLUMNS" for _, kind, _ in rejects)
    what = "too few fields" if few == len(rejects) else "too many fields" if not few else "too few or too many fields"
    number = counted(len(rejects), "row") if len(rejects) < MOST_REJECTS else f"at least {MOST_REJECTS:,} rows"
    message = f"{number} {'has' if len(rejects) == 1 else 'have'} {what}: {len(first)} instead of {width} in line {lines[0]:,}."
    seen = f"{counted(len(first), 'field')} in line {lines[0]:,}"
    return Finding("ragged-rows", message, seen, counted(width, "field"), count=len(rejects), lines=lines)
