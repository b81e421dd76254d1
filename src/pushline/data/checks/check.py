"""What a check is: one expectation, and how its result becomes a finding."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from pushline.results import Severity

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
