"""The Great Expectations suite of a contract and its rules.

Types, names and their order are not in it: the table was written with them, and what did not fit was found while reading.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from msgspec import Struct

from pushline.data.contract import Column, Contract, Severity
from pushline.data.findings import MOST_LINES, counted, share, shown
from pushline.data.rules import Rule, broken
from pushline.data.table import literal, name_of

ROW = "__row"  # of the table, from 0; a column of the view the suite runs on
Detail = dict[str, Any]


class Seen(Struct, frozen=True, kw_only=True):
    """What a failed expectation saw."""

    message: str
    seen: str = ""
    count: int = 0
    rows: tuple[int, ...] = ()
    column: str | None = None  # where the check has none of its own


class Check(Struct, frozen=True, kw_only=True):
    """One expectation, and how its result becomes a finding."""

    id: str
    severity: Severity
    expectation: str  # the class's name in great_expectations.expectations
    options: dict[str, Any]
    expected: str
    explain: Callable[[Detail], Seen | list[Seen]]
    column: str | None = None
    is_query: bool = False  # one row of figures where it fails, rather than a result per column


def checks_of(contract: Contract, rules: Sequence[Rule], present: Sequence[str], unread: Collection[str | None] = ()) -> list[Check]:
    """The checks for the columns that are present. `unread` names those with cells that were not of their type: there an
    empty cell says nothing."""
    columns = [column for column in contract.columns if column.name in present]
    checks = [too_few_rows(contract)]
    for column in columns:
        checks += checks_of_column(column, check_missing=column.name not in unread)
    if contract.label in columns:
        checks.append(rare_class(contract))
    checks += [rule_check(rule, contract) for rule in rules if set(rule.columns) <= set(present)]
    features = [column for column in columns if column.role == "feature"]
    if features:
        checks.append(constant(features))
    if contract.duplicates_at_most < 1:
        checks.append(duplicates(contract, columns))
    return checks


def percent(part: float) -> str:
    return f"{100 * part:.4g}%"


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

    def explain(detail: Detail) -> Seen:
        count, of = int(detail["unexpected_count"]), int(detail["element_count"])
        return Seen(
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

    def explain(detail: Detail) -> Seen:
        count = int(detail["unexpected_count"])
        wrong = list(dict.fromkeys(str(value) for value in detail.get("partial_unexpected_list") or ()))
        return Seen(
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
    """How the wrong values differ from allowed ones, where it is case or spaces only."""
    plain = {" ".join(value.split()).casefold(): value for value in values}
    for value in wrong:
        ours = plain.get(" ".join(value.split()).casefold())
        if ours is not None:
            same_case = " ".join(value.split()) == " ".join(ours.split())
            what = "spaces around or within" if same_case else "upper and lower case" if value.strip() == value else "case and spaces"
            return f": {value!r} differs from {ours!r} in {what}"
    return f": {shown(wrong)}" if wrong else ""


def outside(column: Column) -> Check:
    low, high = column.minimum, column.maximum
    unit = f" {column.unit}" if column.unit else ""
    bounds = (
        f"{low:g} to {high:g}" if low is not None and high is not None else f"at least {low:g}" if low is not None else f"at most {high:g}"
    )

    def explain(detail: Detail) -> Seen:
        count = int(detail["unexpected_count"])
        values = list(dict.fromkeys(detail.get("partial_unexpected_list") or ()))
        return Seen(
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

    def explain(detail: Detail) -> Seen:
        count, of = int(detail["unexpected_count"]), int(detail["element_count"]) - int(detail.get("missing_count") or 0)
        return Seen(
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


def too_few_rows(contract: Contract) -> Check:
    def explain(detail: Detail) -> Seen:
        rows = int(detail["observed_value"])
        return Seen(
            message=f"The table has {counted(rows, 'row')}; at least {contract.rows_at_least:,} are needed.", seen=f"{rows:,}", count=rows
        )

    return Check(
        id="rows",
        severity="critical",
        expectation="ExpectTableRowCountToBeBetween",
        options={"min_value": contract.rows_at_least},
        expected=f"at least {contract.rows_at_least:,}",
        explain=explain,
    )


def query(sql: str) -> dict[str, Any]:
    """Options of an expectation that holds where `sql` gives no row; `{batch}` stands for the table.

    Braces are Great Expectations' placeholders and colons SQLAlchemy's, so both are escaped.
    """
    text = sql.replace("{", "{{").replace("}", "}}").replace("{{batch}}", "{batch}").replace(":", "\\:")
    return {"unexpected_rows_query": text}


def rare_class(contract: Contract) -> Check:
    name, least = contract.label.name, contract.rarest_class_at_least
    classes = ", ".join(f"({literal(value)})" for value in contract.label.allowed or ())

    def explain(detail: Detail) -> Seen:
        value, rows, of = str(detail["value"]), int(detail["rows"]), int(detail["of"])
        if not rows:
            return Seen(message=f"No row has the label {name} = {value!r}: there is nothing to tell apart.", seen=f"0 of {of:,} rows")
        return Seen(
            message=f"Only {share(rows, of)} of the rows have the label {name} = {value!r}.", seen=f"{rows:,} of {of:,} rows", count=rows
        )

    return Check(
        id="class-balance",
        severity="critical",
        column=name,
        expectation="UnexpectedRowsExpectation",
        options=query(
            f"WITH counts AS (SELECT CAST({name_of(name)} AS VARCHAR) AS value, count(*) AS rows FROM {{batch}} GROUP BY 1), "
            f"total AS (SELECT coalesce(sum(rows), 0) AS total FROM counts WHERE value IS NOT NULL), "
            f"shares AS (SELECT c.value, coalesce(k.rows, 0) AS rows, t.total AS of FROM (VALUES {classes}) c(value) "
            f"LEFT JOIN counts k ON k.value = c.value CROSS JOIN total t) "
            f"SELECT * FROM shares WHERE rows < {least!r} * of OR rows = 0 ORDER BY rows LIMIT 1"
        ),
        expected=f"at least {percent(least)} of the rows in each class",
        explain=explain,
        is_query=True,
    )


def rule_check(rule: Rule, contract: Contract) -> Check:
    columns = ", ".join(rule.columns)

    def explain(detail: Detail) -> Seen:
        count, of = int(detail["broken"]), int(detail["of"])
        return Seen(
            message=f"{counted(count, 'row')} {'breaks' if count == 1 else 'break'} the rule on {columns}: {rule.reason}",
            seen=f"{counted(count, 'row')} ({share(count, of)})",
            count=count,
            rows=tuple(int(row) for row in detail["first_rows"]),
        )

    return Check(
        id=rule.id,
        severity=rule.severity,
        column=rule.columns[0],
        expectation="UnexpectedRowsExpectation",
        options=query(
            f"SELECT * FROM (SELECT count(*) AS broken, min({ROW}, {MOST_LINES}) AS first_rows, (SELECT count(*) FROM {{batch}}) AS of "
            f"FROM {{batch}} WHERE {broken(rule, contract)}) WHERE broken > {rule.broken_at_most!r} * of"
        ),
        expected=rule.holds,
        explain=explain,
        is_query=True,
    )


def constant(columns: Sequence[Column]) -> Check:
    parts = ", ".join(
        f"CASE WHEN min({name_of(c.name)}) IS NOT DISTINCT FROM max({name_of(c.name)}) THEN {literal(c.name)} END" for c in columns
    )

    def explain(detail: Detail) -> list[Seen]:
        nothing = "holds one value in every row, so nothing can be learned from it"
        return [Seen(message=f"{name} {nothing}.", seen="one value", count=1, column=str(name)) for name in detail["names"]]

    return Check(
        id="constant",
        severity="warning",
        expectation="UnexpectedRowsExpectation",
        options=query(
            f"SELECT * FROM (SELECT list_filter([{parts}], lambda name: name IS NOT NULL) AS names FROM {{batch}}) WHERE len(names) > 0"
        ),
        expected="at least two values in a feature",
        explain=explain,
        is_query=True,
    )


def duplicates(contract: Contract, columns: Sequence[Column]) -> Check:
    names = ", ".join(name_of(column.name) for column in columns)

    def explain(detail: Detail) -> Seen:
        count, of = int(detail["repeats"]), int(detail["of"])
        return Seen(
            message=f"{counted(count, 'row')} ({share(count, of)}) {'repeats' if count == 1 else 'repeat'} an earlier row in every column.",
            seen=share(count, of),
            count=count,
        )

    return Check(
        id="duplicates",
        severity="warning",
        expectation="UnexpectedRowsExpectation",
        options=query(
            f"SELECT * FROM (SELECT count(*) AS of, count(*) - count(DISTINCT hash({names})) AS repeats FROM {{batch}}) "
            f"WHERE repeats > {contract.duplicates_at_most!r} * of"
        ),
        expected=f"at most {percent(contract.duplicates_at_most)} of the rows",
        explain=explain,
        is_query=True,
    )
