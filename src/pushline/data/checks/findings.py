"""Findings in the order a person should read them: worst first, and of equal ones the most basic first.

Those that have one cause are one finding.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from pushline.results import Finding
from pushline.wording import counted

MOST_LINES = 20  # a finding names the first offenders, not all of them

DIFFERS = " differs from "  # in the message about a value that is an allowed one in another spelling
SEVERITIES = ("critical", "warning", "info")
# Every kind of finding and what it says, the most basic first: what must be right before the next one can be judged.
# A rule's own id stands where `rule` does.
KINDS = {
    "not-a-table": "the bytes are no CSV and no Parquet file of that name: an archive, a workbook, a web page, JSON, a cut-off file",
    "empty-file": "the file has 0 bytes",
    "encoding": "the text is not UTF-8",
    "nul-bytes": "there are zero bytes in the text",
    "line-ends": "the lines end in single carriage returns or in several ways (warning), or never (critical)",
    "delimiter": "the fields are separated by something else than the contract's `delimiter`",
    "header-missing": "the first line is a row",
    "header": "the header is that of another table",
    "column-duplicate": "the header holds a name twice",
    "column-missing": "the header lacks columns",
    "column-renamed": "a column has another name than in the contract",
    "quotes": "a quote is not closed where its field ends",
    "decimal-comma": "numbers have a decimal comma, which also separates the fields",
    "ragged-rows": "rows have too few or too many fields",
    "no-rows": "there is a header and no row",
    "header-repeated": "the header stands again among the rows",
    "misplaced-values": "most rows hold values that stand under the wrong name",
    "broken-rows": "the same rows are wrong in many columns",
    "spelling": "values of many columns differ from the allowed ones in case, spaces or quotes",
    "column-order": "the columns stand in another order; they were read by name",
    "type": "cells are not of the column's type, or are infinite or not a number",
    "missing-values": "more cells are empty than `missing_at_most` tolerates",
    "allowed": "values are not among `allowed`",
    "range": "values are below `minimum` or above `maximum`",
    "rows": "there are fewer rows than `rows_at_least`",
    "class-balance": "a class is rarer than `rarest_class_at_least`, or absent",
    "decides-label": "a feature alone decides the label, and the contract does not say `decides_label`",
    "label-share": "a class is more or less frequent than in the profile: warning beyond chance, critical when far or swapped with another",
    "rule": "rows break a rule of data_checks/rules.py",
    "unknown-values": "a larger share of values is `unknown` than `unknown_at_most` tolerates",
    "duplicates": "a larger share of rows repeats an earlier one than `duplicates_at_most` tolerates",
    "constant": "a feature holds one value in every row",
    "column-extra": "the header has columns the contract does not know; they are left out",
    "byte-order-mark": "the file begins with a byte order mark; it was skipped",
}
BASICS = tuple(KINDS)
VALUES = ("type", "allowed", "range", "missing-values")
MANY = 4  # columns that are wrong on the same lines have one cause
MOSTLY = 0.8  # of a finding's lines that it shares with others


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first; then the most basic; then the one with more offenders."""
    return tuple(sorted(findings, key=_rank))


def _rank(finding: Finding) -> tuple[int, int, int]:
    basic = BASICS.index(finding.id if finding.id in BASICS else "rule")
    return SEVERITIES.index(finding.severity), basic, -finding.count


def shown(values: Iterable[object], most: int = 5) -> str:
    """Values in quotes with commas between, the rest counted."""
    listed = list(values)
    text = ", ".join(_quoted(value) for value in listed[:most])
    return f"{text} and {len(listed) - most:,} more" if len(listed) > most else text


def _quoted(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 42 else f"{text[:40]}…{text[0]}"


def share(part: int, whole: int) -> str:
    """A share as a percentage that never rounds a part to nothing."""
    if not whole:
        return "0%"
    percent = 100 * part / whole
    return f"{percent:.1f}%" if percent >= 0.1 or not part else f"{percent:.2g}%"


def renamed(finding: Finding, file: str) -> Finding:
    """The finding with the file it is in, which its message begins with, for a table of several files."""
    return msgspec.structs.replace(finding, file=file, message=f"{file}: {finding.message}")


def root_causes(findings: Sequence[Finding], rows: int) -> list[Finding]:
    """The findings without those that only follow from another one; equal lines of two files have nothing in common."""
    files = dict.fromkeys(finding.file for finding in findings)
    left = [cause for file in files for cause in causes_in(file, [finding for finding in findings if finding.file == file], rows)]
    return [finding for finding in left if not follows(finding, left)]


def causes_in(file: str, findings: Sequence[Finding], rows: int) -> list[Finding]:
    """The findings of one file, those on the same lines as one."""
    values = [finding for finding in findings if finding.id in VALUES]
    wrong_in = Counter(line for finding in values for line in set(finding.lines))
    broken = {line for line, columns in wrong_in.items() if columns >= MANY}
    together = [f for f in values if f.lines and sum(line in broken for line in f.lines) >= MOSTLY * len(f.lines)]
    if len(together) < MANY:
        return list(findings)
    cause = one_cause([msgspec.structs.replace(f, message=f.message.removeprefix(f"{file}: ")) for f in together], sorted(broken), rows)
    return [*(finding for finding in findings if finding not in together), renamed(cause, file) if file else cause]


def one_cause(together: Sequence[Finding], broken: Sequence[int], rows: int) -> Finding:
    """The finding that stands for those on the same lines."""
    columns = [str(finding.column) for finding in together]
    count = max(finding.count for finding in together)
    names = f"{counted(len(columns), 'column')} ({shown(columns)})"
    example = f"For example: {together[0].message}"
    severity = min((finding.severity for finding in together), key=SEVERITIES.index)
    seen, expected = together[0].seen, together[0].expected
    read = [finding for finding in together if finding.id in ("type", "allowed")]
    if len(read) >= MANY and all(repr(finding.column) in finding.seen for finding in read):
        kind, message = "header-repeated", f"The header stands again in line {broken[0]:,}, as when files are put together. Take it out."
        seen, expected = "the names of the columns", "one header, in line 1"
    elif all(DIFFERS in finding.message for finding in together):
        kind, message = "spelling", f"The values of {names} are written differently from the allowed ones. {example}"
    elif all(finding.id == "type" for finding in together):
        kind, message = "type", f"{names} hold values that are not of their type. {example}"
    elif count > 0.5 * rows:
        kind, message = "misplaced-values", f"Most rows hold values of another kind than the header says, in {names}. {example}"
        expected = "each value under its own column's name"
    else:
        kind, message = "broken-rows", f"{counted(count, 'row')} {'is' if count == 1 else 'are'} wrong in {names}. {example}"
        expected = "a value of its own kind in each column"
    lines = tuple(broken[:MOST_LINES])
    return Finding(kind, message, seen, expected, severity, count=count, lines=lines)


def follows(finding: Finding, all_of_them: Sequence[Finding]) -> bool:
    """Whether a finding about a whole column says nothing beside one about its values, or about too few rows."""
    if finding.id == "unknown-values":
        return any(f.id == "misplaced-values" for f in all_of_them)
    if finding.id not in ("constant", "class-balance"):
        return False
    whole = ("rows", "misplaced-values", "spelling")
    basic = ("type", "missing-values", "allowed", "unknown-values")
    return any(f.id in whole or (f.id in basic and f.column in (finding.column, None)) for f in all_of_them)
