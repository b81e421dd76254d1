"""What the reader refused: rows with too few or too many fields, and quotes that do not close."""

from collections.abc import Sequence
from typing import Any

from pushline.data.checks.findings import MOST_LINES
from pushline.data.contract import Contract
from pushline.data.files.header import Header, fields_of
from pushline.results import Finding
from pushline.wording import counted

MOST_REJECTS = 10_000  # refused lines that are kept in memory


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
