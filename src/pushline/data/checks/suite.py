"""What a check is, and those that a contract and its rules make: the Great Expectations suite.

Types, names and their order are not in it: the table was written with them, and what did not fit was found while reading.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from msgspec import Struct

from pushline.data.checks.findings import DIFFERS, MOST_LINES, share, shown
from pushline.data.contract import Column, Contract
from pushline.data.files.table import literal, name_of
from pushline.data.rules import Rule, broken
from pushline.results import Severity
from pushline.wording import counted

ROW = "__row"  # of the table, from 0; a column of the view the suite runs on
QUERY = "UnexpectedRowsExpectation"
Detail = dict[str, Any]


class Observation(Struct, frozen=True):
    """What a failed expectation saw."""

    message: str
    seen: str = ""
    count: int = 0
    rows: tuple[int, ...] = ()
    column: str | None = None  # where the check has none of its own


class Check(Struct, frozen=True):
    """One expectation, and how its result becomes a finding."""

    id: str
    expectation: str  # the class's name in great_expectations.expectations
    options: dict[str, Any]
    expected: str
    explain: Callable[[Detail], Observation | list[Observation]]
    severity: Severity = "critical"
    column: str | None = None

    @property
    def is_query(self) -> bool:
        """Where it fails, its result is one row of figures rather than a result per column."""
        return self.expectation == QUERY


def of_column(
    id: str,
    column: str,
    expectation: str,
    expected: str,
    explain: Callable[[int, int, Sequence[Any]], tuple[str, str]],
    severity: Severity = "critical",
    **options: Any,
) -> Check:
    """A check of one column's cells; `explain` says message and what was seen, from how many are wrong of how many, and some of them."""

    def observed(detail: Detail) -> Observation:
        count, of = int(detail["unexpected_count"]), int(detail["element_count"]) - int(detail.get("missing_count") or 0)
        wrong = list(dict.fromkeys(detail.get("partial_unexpected_list") or ()))
        rows = tuple(int(entry[ROW]) for entry in detail.get("partial_unexpected_index_list") or ())
        return Observation(*explain(count, of, wrong), count, rows)

    return Check(id, expectation, {"column": column, **options}, expected, observed, severity, column)


def of_table(
    id: str,
    sql: str,
    expected: str,
    explain: Callable[[Detail], Observation | list[Observation]],
    severity: Severity = "critical",
    column: str | None = None,
) -> Check:
    """A check that holds where `sql` gives no row; `{batch}` stands for the table.

    Braces are Great Expectations' placeholders and colons SQLAlchemy's, so both are escaped.
    """
    text = sql.replace("{", "{{").replace("}", "}}").replace("{{batch}}", "{batch}").replace(":", "\\:")
    return Check(id, QUERY, {"unexpected_rows_query": text}, expected, explain, severity, column)


def checks_of(contract: Contract, rules: Sequence[Rule], present: Sequence[str], unread: Collection[str | None] = ()) -> list[Check]:
    """The checks for the columns that are present. `unread` names those with cells that were not of their type: there an
    empty cell says nothing."""
    columns = [column for column in contract.columns if column.name in present]
    checks = [too_few_rows(contract)]
    for column in columns:
        checks += checks_of_column(column, check_missing=column.name not in unread)
    if contract.label in columns and not contract.is_regression:
        checks.append(rare_class(contract))
    checks += [rule_check(rule, contract) for rule in rules if set(rule.columns) <= set(present)]
    features = [column for column in columns if column.role == "feature"]
    if features:
        checks.append(constant(features))
    if contract.duplicates_at_most < 1:
        checks.append(duplicates(contract, columns))
    return checks


def checks_of_column(column: Column, *, check_missing: bool) -> Iterator[Check]:
    if check_missing and column.missing_at_most < 1:
        yield missing(column)
    if column.closed and column.type != "boolean":
        yield allowed(column)
    if column.minimum is not None or column.maximum is not None:
        yield outside(column)
    if column.unknown is not None and column.unknown_at_most < 1:
        yield unknown(column)


def missing(column: Column) -> Check:
    def explain(count: int, of: int, wrong: Sequence[Any]) -> tuple[str, str]:
        return f"{values_of(column, count)} missing ({share(count, of)} of the rows).", f"{share(count, of)} empty"

    most = column.missing_at_most
    expected = f"at most {percent(most)} of the rows empty" if most else "a value in every row"
    return of_column("missing-values", column.name, "ExpectColumnValuesToNotBeNull", expected, explain, mostly=1 - most)


def allowed(column: Column) -> Check:
    values = column.allowed or ()

    def explain(count: int, of: int, wrong: Sequence[Any]) -> tuple[str, str]:
        texts = [str(value) for value in wrong]
        return f"{values_of(column, count)} not among the allowed ones{likeness(texts, values)}.", shown(texts)

    severity = "critical" if column.role == "label" else column.severity
    kind = {"integer": int, "number": float}.get(column.type, str)
    typed = [kind(value) for value in values]  # the contract has them as text
    return of_column("allowed", column.name, "ExpectColumnValuesToBeInSet", shown(values, 20), explain, severity, value_set=typed)


def outside(column: Column) -> Check:
    low, high = column.minimum, column.maximum
    words = f"at most {high:g}" if low is None else f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
    bounds = f"{words} {column.unit}" if column.unit else words

    def explain(count: int, of: int, wrong: Sequence[Any]) -> tuple[str, str]:
        return f"{values_of(column, count)} outside {bounds}: {shown(wrong)}.", shown(wrong)

    ends = {"min_value": low, "max_value": high}
    return of_column("range", column.name, "ExpectColumnValuesToBeBetween", bounds, explain, column.severity, **ends)


def unknown(column: Column) -> Check:
    value, most = str(column.unknown), column.unknown_at_most

    def explain(count: int, of: int, wrong: Sequence[Any]) -> tuple[str, str]:
        message = f"{share(count, of)} of the values of {column.name} are {value!r}."
        return message, f"{share(count, of)} {value!r} ({counted(count, 'row')})"

    expected, options = f"at most {percent(most)} of the values", {"value_set": [value], "mostly": 1 - most}
    return of_column("unknown-values", column.name, "ExpectColumnValuesToNotBeInSet", expected, explain, "warning", **options)


def values_of(column: Column, count: int) -> str:
    return f"{counted(count, 'value')} of {column.name} {'is' if count == 1 else 'are'}"


def percent(part: float) -> str:
    return f"{100 * part:.4g}%"


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


def too_few_rows(contract: Contract) -> Check:
    least = contract.rows_at_least

    def explain(detail: Detail) -> Observation:
        rows = int(detail["observed_value"])
        return Observation(f"The table has {counted(rows, 'row')}; at least {least:,} are needed.", f"{rows:,}", rows)

    return Check("rows", "ExpectTableRowCountToBeBetween", {"min_value": least}, f"at least {least:,}", explain)


def rare_class(contract: Contract) -> Check:
    name, least = contract.label.name, contract.rarest_class_at_least

    def explain(detail: Detail) -> Observation:
        value, rows, of = str(detail["value"]), int(detail["rows"]), int(detail["of"])
        message = f"Only {share(rows, of)} of the rows have the label {name} = {value!r}."
        if not rows:
            message = f"No row has the label {name} = {value!r}: there is nothing to tell apart."
        return Observation(message, f"{rows:,} of {of:,} rows", rows)

    classes = ", ".join(f"({literal(value)})" for value in contract.label.allowed or ())
    sql = (
        f"WITH counts AS (SELECT CAST({name_of(name)} AS VARCHAR) AS value, count(*) AS rows FROM {{batch}} GROUP BY 1), "
        f"total AS (SELECT coalesce(sum(rows), 0) AS total FROM counts WHERE value IS NOT NULL), "
        f"shares AS (SELECT c.value, coalesce(k.rows, 0) AS rows, t.total AS of FROM (VALUES {classes}) c(value) "
        f"LEFT JOIN counts k ON k.value = c.value CROSS JOIN total t) "
        f"SELECT * FROM shares WHERE rows < {least!r} * of OR rows = 0 ORDER BY rows LIMIT 1"
    )
    return of_table("class-balance", sql, f"at least {percent(least)} of the rows in each class", explain, column=name)


def rule_check(rule: Rule, contract: Contract) -> Check:
    def explain(detail: Detail) -> Observation:
        count, of = int(detail["broken"]), int(detail["of"])
        verb = "breaks" if count == 1 else "break"
        message = f"{counted(count, 'row')} {verb} the rule on {', '.join(rule.columns)}: {rule.reason}"
        rows = tuple(int(row) for row in detail["first_rows"])
        return Observation(message, f"{counted(count, 'row')} ({share(count, of)})", count, rows)

    sql = (
        f"SELECT * FROM (SELECT count(*) AS broken, min({ROW}, {MOST_LINES}) AS first_rows, (SELECT count(*) FROM {{batch}}) AS of "
        f"FROM {{batch}} WHERE {broken(rule, contract)}) WHERE broken > {rule.broken_at_most!r} * of"
    )
    return of_table(rule.id, sql, rule.holds, explain, rule.severity, rule.columns[0])


def constant(columns: Sequence[Column]) -> Check:
    def explain(detail: Detail) -> list[Observation]:
        nothing = "holds one value in every row, so nothing can be learned from it"
        return [Observation(f"{name} {nothing}.", "one value", 1, column=str(name)) for name in detail["names"]]

    parts = ", ".join(
        f"CASE WHEN min({name_of(c.name)}) IS NOT DISTINCT FROM max({name_of(c.name)}) THEN {literal(c.name)} END" for c in columns
    )
    sql = f"SELECT * FROM (SELECT list_filter([{parts}], lambda name: name IS NOT NULL) AS names FROM {{batch}}) WHERE len(names) > 0"
    return of_table("constant", sql, "at least two values in a feature", explain, "warning")


def duplicates(contract: Contract, columns: Sequence[Column]) -> Check:
    def explain(detail: Detail) -> Observation:
        count, of = int(detail["repeats"]), int(detail["of"])
        verb = "repeats" if count == 1 else "repeat"
        message = f"{counted(count, 'row')} ({share(count, of)}) {verb} an earlier row in every column."
        return Observation(message, share(count, of), count)

    names, most = ", ".join(name_of(column.name) for column in columns), contract.duplicates_at_most
    sql = (
        f"SELECT * FROM (SELECT count(*) AS of, count(*) - count(DISTINCT hash({names})) AS repeats FROM {{batch}}) "
        f"WHERE repeats > {most!r} * of"
    )
    return of_table("duplicates", sql, f"at most {percent(most)} of the rows", explain, "warning")
