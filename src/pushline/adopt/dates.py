"""Dates as people write them: in which form, and where days and months can't be told apart."""

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from pushline.data.contract.dates import PATTERNS, date_sql
from pushline.data.files.table import literal

if TYPE_CHECKING:
    import duckdb

DAYS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%d%b%Y", "%Y/%m/%d", "%Y-%m",
)  # fmt: skip
TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
FORMATS = (*DAYS, *(f"{day} {time}" for day in (*DAYS[:10], "%Y/%m/%d") for time in TIMES))


class DateStyle(Struct, frozen=True, kw_only=True):
    """How the dates of one column are written."""

    kind: Literal["date", "datetime"]
    format: str  # of strptime; empty for ISO, which needs no other writing
    other: str = ""  # a second format that fits every cell too, and means other days
    first: str = ""  # in ISO
    last: str = ""

    @property
    def rewrite(self) -> str:
        """SQL of a cell as it is to be written; empty: as it is."""
        iso = "%Y-%m-%d" if self.kind == "date" else "%Y-%m-%dT%H:%M:%S"
        return f"strftime(try_strptime(trim({{cell}}), {literal(self.format)}), '{iso}')" if self.format else ""


def is_date_sql(cell: str) -> str:
    """SQL that is true for a text that may be a date."""
    formats = ", ".join(map(literal, FORMATS))
    return f"(regexp_matches({cell}, '[0-9]') AND ({date_sql(cell, 'datetime')} OR try_strptime(trim({cell}), [{formats}]) IS NOT NULL))"


def date_styles(connection: "duckdb.DuckDBPyConnection", numbers: list[int]) -> dict[int, DateStyle]:
    """The style of each of these columns of the table `judged` (c, v, n, nothing) in which every cell is a date of one form."""
    found = {}
    for number in numbers:
        cells = f"judged WHERE c = {number} AND NOT nothing"
        fitting = (f"year(try_strptime(trim(v), {literal(form)})) >= 1000" for form in FORMATS)  # %Y reads 26 as the year 26
        counted = ", ".join(f"count(*) FILTER ({fits})" for fits in fitting)
        iso = ", ".join(f"count(*) FILTER ({date_sql('v', kind)})" for kind in PATTERNS)
        rows, dates, datetimes, *counts = connection.execute(f"SELECT count(*), {iso}, {counted} FROM {cells}").fetchone() or (0,)
        fits = [form for form, count in zip(FORMATS, counts, strict=True) if count == rows]
        if datetimes != rows and not fits:
            continue
        form = "" if datetimes == rows else fits[0]
        day = "CAST(v AS TIMESTAMP)" if not form else f"strptime(trim(v), {literal(form)})"
        first, last = connection.execute(f"SELECT min({day}), max({day}) FROM {cells}").fetchone() or ("", "")
        found[number] = DateStyle(
            kind="date" if dates == rows or form in DAYS else "datetime",
            format=form,
            other=next((other for other in fits[1:] if form and differ(connection, cells, form, other)), ""),
            first=first.isoformat(timespec="minutes"),
            last=last.isoformat(timespec="minutes"),
        )
    return found


def differ(connection: "duckdb.DuckDBPyConnection", cells: str, one: str, other: str) -> bool:
    """Whether two formats that fit every cell mean other days by one of them."""
    read = (f"try_strptime(trim(v), {literal(form)})" for form in (one, other))
    return bool(connection.execute(f"SELECT 1 FROM {cells} AND {' <> '.join(read)} LIMIT 1").fetchone())
