"""What the cells of each column look like: counted once by DuckDB, judged by draft.py."""

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from pushline.adopt.given import Given
from pushline.adopt.numbers import Style, Writing, number_sql, style_of, style_of_table, writing_sql
from pushline.data.files.cells import WHOLE
from pushline.data.files.reading import database
from pushline.data.files.table import literal

if TYPE_CHECKING:
    import duckdb

MOST_VALUES = 200  # distinct values that are looked at one by one
# What programs write for "nothing". In a column of numbers such a cell is empty; in a column of text it is a value.
NOTHING = ("na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "?", "-", "--", ".", "missing", "unknown", "undefined", "#null!")
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
    writing: Writing
    style: Style | None  # None: nothing tells how its numbers are to be read
    guessed: bool  # nothing in the column itself says so, and nobody did
    rewrite: str  # SQL of a number as it is to be written; empty: as it is
    booleans: int
    dates: int
    leading_zeros: int
    longest: int
    words: float  # mean
    low: float | None  # of the numbers
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


def facts_of(given: Given, scratch: Path, decimal: str | None = None) -> tuple[Facts, ...]:
    """The facts of every column, in the table's order. `decimal`: the sign that parts decimals, where a person said it."""
    with database(scratch) as connection:
        connection.execute(f"CREATE VIEW cells AS FROM read_parquet({literal(str(given.cells))})")
        writings = [writing_of(connection, number) for number in range(len(given.names))]
        table = style_of_table(writings)
        return tuple(
            of_column(connection, number, name, given.rows, writing, style_of(writing, table, decimal), said=decimal is not None)
            for number, (name, writing) in enumerate(zip(given.names, writings, strict=True))
        )


def writing_of(connection: "duckdb.DuckDBPyConnection", number: int) -> Writing:
    """Count the distinct cells of a column into the table seen_N, and tell how its numbers are written."""
    nothing = f"lower(trim(v)) IN ({', '.join(map(literal, NOTHING))})"
    connection.execute(
        f"CREATE TEMP TABLE seen_{number} AS SELECT *, {nothing} AS nothing "
        f"FROM (SELECT c{number} AS v, count(*) AS n FROM cells WHERE c{number} IS NOT NULL GROUP BY ALL)"
    )
    comma, point, either_comma, either_point, signs, shown = connection.execute(
        f"SELECT {writing_sql('v')} FROM seen_{number} WHERE NOT nothing AND length(v) < 40"
    ).fetchone() or (0, 0, 0, 0, [], "")
    return Writing(
        sure_comma=int(comma),
        sure_point=int(point),
        either_comma=int(either_comma),
        either_point=int(either_point),
        signs=tuple(sorted(sign for sign in signs or () if sign)),
        shown=str(shown or ""),
    )


def of_column(
    connection: "duckdb.DuckDBPyConnection", number: int, name: str, rows: int, writing: Writing, style: Style | None, *, said: bool
) -> Facts:
    formats = ", ".join(map(literal, DATES))
    sign = writing.signs[0] if len(writing.signs) == 1 else ""
    x = number_sql("v", style or "each", sign)
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE seen AS SELECT v, n, nothing, "
        f"CASE WHEN nothing OR contains(v, '_') THEN NULL ELSE {x} END AS x FROM seen_{number}"
    )
    changed = connection.execute("SELECT count(*) FROM seen WHERE TRY_CAST(v AS DOUBLE) IS DISTINCT FROM x AND x IS NOT NULL").fetchone()
    rewrite = "" if changed == (0,) else number_sql("{cell}", style or "each", sign)
    whole = f"regexp_full_match(v, '{WHOLE}') AND TRY_CAST(v AS BIGINT) IS NOT NULL" if not rewrite else "x = floor(x) AND abs(x) < 1e15"
    counted = connection.execute(
        f"""
        SELECT coalesce(sum(n), 0), count(*), coalesce(sum(n) FILTER (nothing), 0),
          coalesce(sum(n) FILTER (NOT nothing AND {whole}), 0), coalesce(sum(n) FILTER (isfinite(x)), 0),
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
    filled, distinct, nothings, integers, numbers, booleans, dates, zeros, longest, words, low, high, middle, different = counted
    common = (
        connection.execute("SELECT v, n FROM seen ORDER BY n DESC, v LIMIT ?", [MOST_VALUES]).fetchall() if distinct <= MOST_VALUES else []
    )
    words_for_nothing = connection.execute("SELECT v FROM seen WHERE nothing ORDER BY n DESC, v LIMIT 5").fetchall() if nothings else []
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
        writing=writing,
        style=style,
        guessed=not said and not (writing.sure_comma or writing.sure_point),
        rewrite=rewrite,
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
        nothing_words=tuple(str(value) for (value,) in words_for_nothing),
        odd=tuple(str(value) for (value,) in odd),
    )
