"""Findings that have one cause are one finding."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from pushline.data.checks.findings import DIFFERS, MOST_LINES, SEVERITIES, renamed, shown
from pushline.results import Finding
from pushline.wording import counted

VALUES = ("type", "allowed", "range", "missing-values")
MANY = 4  # columns that are wrong on the same lines have one cause
MOSTLY = 0.8  # of a finding's lines that it shares with others


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
