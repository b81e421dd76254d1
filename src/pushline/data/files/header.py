"""The header of a CSV file against the contract's names."""

import csv
import difflib
import io
import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from pushline.data.checks.findings import shown
from pushline.data.contract import Column, Contract
from pushline.results import Finding, Severity
from pushline.wording import counted

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
MOST_APART = 3  # columns with another name that are told one by one
ALIKE = 0.6  # of difflib: names this close are taken for one name written in two ways


class Header(Struct, frozen=True, kw_only=True):
    """The names of a file, which of the contract's columns they are, and what is wrong with them."""

    names: tuple[str, ...]
    columns: dict[str, str] = {}  # the contract's name by the file's
    findings: tuple[Finding, ...] = ()
    readable: bool = True  # False: the rows can't be told apart into columns

    @property
    def cells(self) -> dict[str, str]:
        """The column of the text relation (named by position) by the contract's name."""
        return {ours: f"c{self.names.index(name)}" for name, ours in self.columns.items()}


def read_header(head: bytes, contract: Contract) -> Header:
    """The header in the first bytes of a file, compared with the contract."""
    text = head.decode("utf-8-sig", errors="replace")
    first = re.split(r"\r\n|\n|\r", text, maxsplit=1)[0]
    names = fields_of(text, contract.delimiter)
    known = {plain(column.name) for column in contract.columns}
    matching = sum(plain(name) in known for name in names)
    for delimiter, word in DELIMITERS.items():
        other = fields_of(text, delimiter)
        if delimiter != contract.delimiter and len(other) > len(names) and sum(plain(name) in known for name in other) > matching:
            ours = DELIMITERS.get(contract.delimiter, repr(contract.delimiter))
            message = f"The fields are separated by a {word}, not by a {ours}. Write the file anew, or set `delimiter` in the contract."
            return unreadable(names, in_header("delimiter", message, repr(delimiter), repr(contract.delimiter)))
    if matching < len(known) / 3:
        best = max((fields_of(first, delimiter) for delimiter in (contract.delimiter, *DELIMITERS)), key=len)
        if looks_like_data(best, contract):
            message = "The first line is a row, not the columns' names. Put the header line on top."
            return unreadable(names, in_header("header-missing", message, first[:80], "a header line with the contract's names"))
    return compare(names, contract)


def fields_of(text: str, delimiter: str) -> tuple[str, ...]:
    """The fields of the first row of a text."""
    try:
        return tuple(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), ()))
    except csv.Error:
        return (text[:80],)


def plain(name: str) -> str:
    """A name without what differs by habit: case, and spaces or quotes around it."""
    return name.strip(" \t'\"").casefold()


def looks_like_data(fields: Sequence[str], contract: Contract) -> bool:
    """Whether the fields fit the contract's columns one by one, as a row's do and a header's don't."""
    if not 0 <= len(fields) - len(contract.columns) <= 1 and len(fields) != len(contract.columns) - 1:
        return False
    fitting = sum(_fits(field, column) for field, column in zip(fields, contract.columns, strict=False))
    return fitting > 0.5 * len(contract.columns)


def _fits(field: str, column: Column) -> bool:
    if column.allowed is not None and column.closed:
        return field in column.allowed
    if column.type in ("integer", "number"):
        try:
            float(field)
        except ValueError:
            return False
        return True
    return False


def in_header(id: str, message: str, seen: str, expected: str, *, severity: Severity = "critical", **about: Any) -> Finding:
    return Finding(id, message, seen, expected, severity, **{"count": 1, "lines": (1,), **about})


def unreadable(names: tuple[str, ...], finding: Finding) -> Header:
    return Header(names=names, readable=False, findings=(finding,))


def compare(names: tuple[str, ...], contract: Contract) -> Header:
    """The findings for names that were read as a header: twice, missing, written differently, too many, in another order."""
    wanted = tuple(column.name for column in contract.columns)
    missing = [name for name in wanted if name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return unreadable(names, column_twice(twice[0], names, missing))
    extra = [name for name in names if name not in wanted]
    plainly = {plain(name) for name in names}
    if sum(plain(name) not in plainly for name in missing) > 0.5 * len(wanted):
        gone = f"{len(missing)} of the contract's {len(wanted)} columns are not in the header, such as {missing[0]}"
        return unreadable(names, in_header("header", f"{gone}: it is another table.", shown(names), shown(wanted), count=len(missing)))
    pairs = renamings(missing, extra, names, wanted)
    findings = columns_renamed(pairs, contract)
    if gone_ones := [name for name in missing if name not in pairs.values()]:
        findings.append(columns_missing(gone_ones, contract))
    if more := [name for name in extra if name not in pairs]:
        message = f"The header has {counted(len(more), 'column')} that the contract does not know: {shown(more)}. Left out of the table."
        about = {"column": more[0] if len(more) == 1 else None, "count": len(more)}
        findings.append(in_header("column-extra", message, ", ".join(more), "the contract's columns", severity="warning", **about))
    columns = {name: pairs.get(name, name) for name in names if name in wanted or name in pairs}
    order = [columns[name] for name in names if name in columns]
    if order != [name for name in wanted if name in order]:
        findings.append(other_order(order, wanted))
    return Header(names=names, columns=columns, findings=tuple(findings))


def renamings(missing: Sequence[str], extra: Sequence[str], names: Sequence[str], wanted: Sequence[str]) -> dict[str, str]:
    """Which strange name stands for which missing one: by likeness, or because it stands alone in its place."""
    pairs: dict[str, str] = {}
    for name in missing:
        left = [other for other in extra if other not in pairs]
        alike = {plain(other): other for other in left}
        close = difflib.get_close_matches(plain(name), alike, n=1, cutoff=ALIKE)
        place = names[wanted.index(name)] if len(names) == len(wanted) else None
        if close:
            pairs[alike[close[0]]] = name
        elif place in left:
            pairs[place] = name
    return pairs


def columns_renamed(pairs: dict[str, str], contract: Contract) -> list[Finding]:
    """A finding for each name, or one for many: they usually differ in the same way."""
    if len(pairs) > MOST_APART:
        theirs, ours = next(iter(pairs.items()))
        message = f"{len(pairs)} columns have other names in the header, such as {theirs!r} for {ours!r}. Correct it, or the contract."
        return [in_header("column-renamed", message, shown(pairs), shown(pairs.values()), count=len(pairs))]
    found = []
    for theirs, ours in pairs.items():
        what = "The label" if contract.by_name[ours].role == "label" else "The column"
        message = f"{what} {ours} is called {theirs!r} in the header. Correct the header, or the name in the contract."
        found.append(in_header("column-renamed", message, repr(theirs), repr(ours), column=ours))
    return found


def columns_missing(gone: Sequence[str], contract: Contract) -> Finding:
    names = ", ".join(gone[:8]) + (f" and {len(gone) - 8} more" if len(gone) > 8 else "")
    unusable = " Without the label nothing can be learned." if contract.label.name in gone else ""
    message = f"The header lacks {counted(len(gone), 'column')}: {names}.{unusable}"
    column = gone[0] if len(gone) == 1 else None
    return in_header("column-missing", message, "not in the header", ", ".join(gone), column=column, count=len(gone))


def column_twice(name: str, names: Sequence[str], missing: Sequence[str]) -> Finding:
    places = [str(position) for position, other in enumerate(names, 1) if other == name]
    lacking = f" {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing." if missing else ""
    message = f"The header names {name!r} more than once (fields {' and '.join(places)}).{lacking}"
    seen = f"{len(places)} columns of this name"
    return in_header("column-duplicate", message, seen, "each name once", column=name, count=len(places))


def other_order(order: Sequence[str], wanted: Sequence[str]) -> Finding:
    expected = [name for name in wanted if name in order]
    moved = [ours for ours, theirs in zip(order, expected, strict=True) if ours != theirs]
    message = f"{counted(len(moved), 'column')} stand in another order than in the contract, {moved[0]} first. They were read by name."
    return in_header("column-order", message, ", ".join(order), ", ".join(expected), severity="warning", count=len(moved))
