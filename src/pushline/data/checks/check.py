"""What a check is: one expectation, and how its result becomes a finding."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from pushline.results import Severity

ROW = "__row"  # of the table, from 0; a column of the view the suite runs on
Detail = dict[str, Any]


class Observation(Struct, frozen=True, kw_only=True):
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
    explain: Callable[[Detail], Observation | list[Observation]]
    column: str | None = None
    is_query: bool = False  # one row of figures where it fails, rather than a result per column


def query(sql: str) -> dict[str, Any]:
    """Options of an expectation that holds where `sql` gives no row; `{batch}` stands for the table.

    Braces are Great Expectations' placeholders and colons SQLAlchemy's, so both are escaped.
    """
    text = sql.replace("{", "{{").replace("}", "}}").replace("{{batch}}", "{batch}").replace(":", "\\:")
    return {"unexpected_rows_query": text}


def percent(part: float) -> str:
    return f"{100 * part:.4g}%"
