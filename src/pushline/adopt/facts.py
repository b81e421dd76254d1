"""What the cells of each column look like: counted once by DuckDB, judged by draft.py."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from pushline.adopt.given import Given
from pushline.data.cells import WHOLE
from pushline.data.reading import database
from pushline.data.table import literal

if TYPE_CHECKING:
    import duckdb

MOST_VALUES = 200  # distinct values that are looked at one by one
# What programs write for "nothing". In a column of numbers such a cell is empty; in a column of text it is a value.
NOTHING = ("na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "?", "-", "--", ".", "missing", "unknown", "undefined", "#null!")
COMMA = r"\s*[+-]?([0-9]+|[0-9]{1,3}([.][0-9]{3})+),[0-9]+\s*"
DATES = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%b %d, %Y", "%d-%b-%Y", "%Y-%m",
    "%d.%m.%Y %H:%M",    "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ",
    "%H:%M", "%H:%M:%S",
)  # fmt: skip


class Facts(Struct, frozen=True, kw_only=True):
    """One column: counts are of cells that are not empty, but for `rows`."""

    name: str
    rows: int
    filled: int
    distinct: int
    nothing: int  # cells that say "nothing" in words
    integers: int
    numbers: int
    commas: int  # numbers with a decimal comma
    not_thousands: int  # of these, those that can't be a comma for thousands
    booleans: int
    dates: int
    leading_zeros: int
    longest: int
    words: float  # mean
    low: float | None  # of the numbers, a decimal comma read as such
    high: float | None
    middle: float | None
    distinct_numbers: int
    values: tuple[tuple[str, int], ...] = ()  # the commonest first, where there are few
    nothing_words: tuple[str, ...] = ()
    odd: tuple[str, ...] = ()  # examples of cells that are neither numbers nor nothing

    @property
    def said(self) -> int:
        """Cells that say something."""
        return self.filled - self.nothing

    @property
    def empty_share(self) -> float:
        return 1 - self.filled / self.rows


def facts_of(given: Given, scratch: Path) -> tuple[Facts, ...]:
    """The facts of every column, in the table's order."""
    with database(scratch) as connection:
        connection.execute(f"CREATE VIEW cells AS FROM read_parquet({literal(str(given.cells))})")
        return tuple(of_column(connection, number, name, given.rows) for number, name in enumerate(given.names))


def number_sql(cell: str) -> str:
    """A cell as a number, a decimal comma read as such; NULL where it is none."""
    plain = f"replace(replace({cell}, '.', ''), ',', '.')"
    return f"TRY_CAST(CASE WHEN regexp_full_match({cell}, '{COMMA}') THEN {plain} ELSE {cell} END AS DOUBLE)"


def of_column(connection: "duckdb.DuckDBPyConnection", number: int, name: str, rows: int) -> Facts:
    cell = f"c{number}"
    nothing = f"lower(trim({cell})) IN ({', '.join(map(literal, NOTHING))})"
    formats = ", ".join(map(literal, DATES))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE seen AS SELECT {cell} AS v, count(*) AS n, {nothing} AS nothing, "
        f"CASE WHEN {nothing} OR contains({cell}, '_') THEN NULL ELSE {number_sql(cell)} END AS x "
        f"FROM cells WHERE {cell} IS NOT NULL GROUP BY ALL"
    )
    counted = connection.execute(
        f"""
        SELECT coalesce(sum(n), 0), count(*), coalesce(sum(n) FILTER (nothing), 0),
          coalesce(sum(n) FILTER (NOT nothing AND regexp_full_match(v, '{WHOLE}') AND TRY_CAST(v AS BIGINT) IS NOT NULL), 0),
          coalesce(sum(n) FILTER (isfinite(x)), 0), coalesce(sum(n) FILTER (NOT nothing AND regexp_full_match(v, '{COMMA}')), 0),
          coalesce(sum(n) FILTER (regexp_full_match(v, '{COMMA}') AND NOT regexp_full_match(v, '\\s*[+-]?[0-9]{{1,3}},[0-9]{{3}}\\s*')), 0),
          coalesce(sum(n) FILTER (lower(trim(v)) IN ('true', 'false')), 0),
          coalesce(sum(n) FILTER (x IS NULL AND coalesce(TRY_CAST(v AS TIMESTAMP), try_strptime(trim(v), [{formats}])) IS NOT NULL), 0),
          coalesce(sum(n) FILTER (regexp_full_match(v, '0[0-9]+')), 0), coalesce(max(length(v)), 0),
          coalesce(sum(n * (1 + length(trim(v)) - length(replace(trim(v), ' ', '')))) / nullif(sum(n), 0), 0),
          min(x) FILTER (isfinite(x)), max(x) FILTER (isfinite(x)), quantile_disc(x, 0.5) FILTER (isfinite(x)),
          count(DISTINCT x) FILTER (isfinite(x))
        FROM seen
        """
    ).fetchone()
    assert counted is not None
    (
        filled,
        distinct,
        nothings,
        integers,
        numbers,
        commas,
        not_thousands,
        booleans,
        dates,
        zeros,
        longest,
        words,
        low,
        high,
        middle,
        different,
    ) = counted
    common = (
        connection.execute("SELECT v, n FROM seen ORDER BY n DESC, v LIMIT ?", [MOST_VALUES]).fetchall() if distinct <= MOST_VALUES else []
    )
    said = connection.execute("SELECT v FROM seen WHERE nothing ORDER BY n DESC, v LIMIT 5").fetchall() if nothings else []
    odd = connection.execute(
        "SELECT v FROM seen WHERE NOT nothing AND (x IS NULL OR NOT isfinite(x)) ORDER BY n DESC, v LIMIT 3"
    ).fetchall()
    return Facts(
        name=name,
        rows=rows,
        filled=int(filled),
        distinct=int(distinct),
        nothing=int(nothings),
        integers=int(integers),
        numbers=int(numbers),
        commas=int(commas),
        not_thousands=int(not_thousands),
        booleans=int(booleans),
        dates=int(dates),
        leading_zeros=int(zeros),
        longest=int(longest),
        words=float(words),
        low=low,
        high=high,
        middle=middle,
        distinct_numbers=int(different),
        values=tuple((str(value), int(count)) for value, count in common),
        nothing_words=tuple(str(value) for (value,) in said),
        odd=tuple(str(value) for (value,) in odd),
    )
