"""The checks of one column: missing, allowed, bounds, unknown."""

from collections.abc import Iterator, Sequence
from typing import Any

from pushline.data.checks.check import ROW, Check, Detail, Observation, percent
from pushline.data.checks.findings import DIFFERS, share, shown
from pushline.data.contract import Column
from pushline.wording import counted


def checks_of_column(column: Column, *, check_missing: bool) -> Iterator[Check]:
    if check_missing and column.missing_at_most < 1:
        yield missing(column)
    if column.allowed is not None and column.type != "boolean":
        yield allowed(column)
    if column.minimum is not None or column.maximum is not None:
        yield outside(column)
    if column.unknown is not None and column.unknown_at_most < 1:
        yield unknown(column)


def rows_of(detail: Detail) -> tuple[int, ...]:
    return tuple(int(entry[ROW]) for entry in detail.get("partial_unexpected_index_list") or ())


def missing(column: Column) -> Check:
    tolerated = column.missing_at_most

    def explain(detail: Detail) -> Observation:
        count, of = int(detail["unexpected_count"]), int(detail["element_count"])
        return Observation(
            message=f"{counted(count, 'value')} of {column.name} {'is' if count == 1 else 'are'} missing ({share(count, of)} of the rows).",
            seen=f"{share(count, of)} empty",
            count=count,
            rows=rows_of(detail),
        )

    return Check(
        id="missing-values",
        severity="critical",
        column=column.name,
        expectation="ExpectColumnValuesToNotBeNull",
        options={"column": column.name, "mostly": 1 - tolerated},
        expected=f"at most {percent(tolerated)} of the rows empty" if tolerated else "a value in every row",
        explain=explain,
    )


def as_typed(column: Column, values: Sequence[str]) -> list[Any]:
    """Allowed values, written as text in the contract, as the column's type has them."""
    if column.type == "integer":
        return [int(value) for value in values]
    return [float(value) for value in values] if column.type == "number" else list(values)


def allowed(column: Column) -> Check:
    values = column.allowed or ()

    def explain(detail: Detail) -> Observation:
        count = int(detail["unexpected_count"])
        wrong = list(dict.fromkeys(str(value) for value in detail.get("partial_unexpected_list") or ()))
        return Observation(
            message=f"{counted(count, 'value')} of {column.name} {'is' if count == 1 else 'are'} not among the allowed ones"
            f"{likeness(wrong, values)}.",
            seen=shown(wrong),
            count=count,
            rows=rows_of(detail),
        )

    return Check(
        id="allowed",
        severity="critical" if column.role == "label" else column.severity,
        column=column.name,
        expectation="ExpectColumnValuesToBeInSet",
        options={"column": column.name, "value_set": as_typed(column, values)},
        expected=shown(values, 20),
        explain=explain,
    )


def likeness(wrong: Sequence[str], values: Sequence[str]) -> str:
    """How a wrong value differs from an allowed one, where it is in case, spaces or quotes only; otherwise the wrong values."""
    known = {plain(value).casefold(): value for value in values}
    for value in wrong:
        ours = known.get(plain(value).casefold())
        if ours is not None:
            ways = {
                "quotes": plain(value) != " ".join(value.split()),
                "upper and lower case": plain(value) != plain(ours),
                "spaces": " ".join(value.split()) != value,
            }
            return f": {value!r}{DIFFERS}{ours!r} in {' and '.join(way for way, differs in ways.items() if differs)}"
    return f": {shown(wrong)}" if wrong else ""


def plain(value: str) -> str:
    """A value without the spaces and quotes around it, and with single spaces within."""
    return " ".join(value.strip(" \t\r\n\u00a0'\"`\u2018\u2019\u201c\u201d").split())


def outside(column: Column) -> Check:
    low, high = column.minimum, column.maximum
    unit = f" {column.unit}" if column.unit else ""
    bounds = (
        f"{low:g} to {high:g}" if low is not None and high is not None else f"at least {low:g}" if low is not None else f"at most {high:g}"
    )

    def explain(detail: Detail) -> Observation:
        count = int(detail["unexpected_count"])
        values = list(dict.fromkeys(detail.get("partial_unexpected_list") or ()))
        return Observation(
            message=f"{counted(count, 'value')} of {column.name} {'is' if count == 1 else 'are'} outside {bounds}{unit}: {shown(values)}.",
            seen=shown(values),
            count=count,
            rows=rows_of(detail),
        )

    return Check(
        id="range",
        severity=column.severity,
        column=column.name,
        expectation="ExpectColumnValuesToBeBetween",
        options={"column": column.name, "min_value": low, "max_value": high},
        expected=f"{bounds}{unit}",
        explain=explain,
    )


def unknown(column: Column) -> Check:
    value = str(column.unknown)

    def explain(detail: Detail) -> Observation:
        count, of = int(detail["unexpected_count"]), int(detail["element_count"]) - int(detail.get("missing_count") or 0)
        return Observation(
            message=f"{share(count, of)} of the values of {column.name} are {value!r}.",
            seen=f"{share(count, of)} {value!r} ({counted(count, 'row')})",
            count=count,
            rows=rows_of(detail),
        )

    return Check(
        id="unknown-values",
        severity="warning",
        column=column.name,
        expectation="ExpectColumnValuesToNotBeInSet",
        options={"column": column.name, "value_set": [value], "mostly": 1 - column.unknown_at_most},
        expected=f"at most {percent(column.unknown_at_most)} of the values",
        explain=explain,
    )
