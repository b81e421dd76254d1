"""The checks of the whole table: rows, classes, rules, constants, duplicates."""

from collections.abc import Sequence

from pushline.data.checks.check import ROW, Check, Detail, Observation, percent, query
from pushline.data.checks.findings import MOST_LINES, share
from pushline.data.contract import Column, Contract
from pushline.data.files.table import literal, name_of
from pushline.data.rules import Rule, broken
from pushline.wording import counted


def too_few_rows(contract: Contract) -> Check:
    def explain(detail: Detail) -> Observation:
        rows = int(detail["observed_value"])
        return Observation(
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


def rare_class(contract: Contract) -> Check:
    name, least = contract.label.name, contract.rarest_class_at_least
    classes = ", ".join(f"({literal(value)})" for value in contract.label.allowed or ())

    def explain(detail: Detail) -> Observation:
        value, rows, of = str(detail["value"]), int(detail["rows"]), int(detail["of"])
        if not rows:
            return Observation(
                message=f"No row has the label {name} = {value!r}: there is nothing to tell apart.", seen=f"0 of {of:,} rows"
            )
        return Observation(
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

    def explain(detail: Detail) -> Observation:
        count, of = int(detail["broken"]), int(detail["of"])
        return Observation(
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

    def explain(detail: Detail) -> list[Observation]:
        nothing = "holds one value in every row, so nothing can be learned from it"
        return [Observation(message=f"{name} {nothing}.", seen="one value", count=1, column=str(name)) for name in detail["names"]]

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

    def explain(detail: Detail) -> Observation:
        count, of = int(detail["repeats"]), int(detail["of"])
        return Observation(
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
