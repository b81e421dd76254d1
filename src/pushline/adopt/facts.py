"""What the cells of each column look like: counted once by DuckDB, judged by draft.py."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from pushline.adopt.dates import DateStyle, date_styles, is_date_sql
from pushline.adopt.numbers import Style, Writing, has_sign_sql, number_sql, style_of, style_of_table, writing_sql
from pushline.adopt.text_table import TextTable
from pushline.data.files.cells import WHOLE
from pushline.data.files.table import database, literal

if TYPE_CHECKING:
    import duckdb

CELLS_AT_ONCE = 2_000_000  # columns are counted together as long as they have no more: a query costs more than a small column
UNWRITTEN = Writing(sure_comma=0, sure_point=0, either_comma=0, either_point=0, signs=(), shown="")
DATES = 6  # the place of that count in what `count_kinds` gives
MOST_VALUES = 200  # distinct values that are looked at one by one
# What programs write for "nothing". In a column of numbers such a cell is empty; in a column of text it is a value.
NOTHING = ("na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "?", "-", "--", ".", "missing", "unknown", "undefined", "#null!")


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
    values: tuple[tuple[str, int], ...] = ()  # the commonest first
    nothing_words: tuple[str, ...] = ()
    written: DateStyle | None = None  # how its dates are written, where every cell is one
    odd: tuple[str, ...] = ()  # examples of cells that are neither numbers nor nothing

    @property
    def said(self) -> int:
        """Cells that say something."""
        return self.filled - self.nothing


def facts_of(source: TextTable, scratch: Path, decimal: str | None = None) -> tuple[Facts, ...]:
    """The facts of every column, in the table's order. `decimal`: the sign that parts decimals, where a person said it."""
    width, together = len(source.names), max(1, CELLS_AT_ONCE // source.rows)
    batches = [range(first, min(first + together, width)) for first in range(0, width, together)]
    with database(scratch) as connection:
        connection.execute("CREATE TEMP TABLE seen (c INTEGER, v VARCHAR, n BIGINT, nothing BOOLEAN)")
        written: dict[int, Writing] = {}
        for batch in batches:
            count_cells(connection, source.cells, batch)
            written |= writings_of(connection, batch)
        writings = [written.get(number, UNWRITTEN) for number in range(width)]
        table = style_of_table(writings)
        styles = [style_of(writing, table, decimal) for writing in writings]
        counted: dict[int, tuple[Any, ...]] = {}
        dated: dict[int, DateStyle] = {}
        rewrites: dict[int, str] = {}
        for batch in batches:
            alike: dict[tuple[Style, str], list[int]] = {}  # columns whose numbers are read in one way
            for number in batch:
                signs = writings[number].signs
                alike.setdefault((styles[number] or "each", signs[0] if len(signs) == 1 else ""), []).append(number)
            for (style, sign), numbers in alike.items():
                changed = read_numbers(connection, numbers, style, sign)
                rewrites |= dict.fromkeys(changed, number_sql("{cell}", style, sign))
                kinds = count_kinds(connection, changed)
                counted |= kinds
                dated |= date_styles(connection, [number for number, of in kinds.items() if of[DATES] and of[DATES] == of[0] - of[2]])
    return tuple(
        of_column(
            name,
            source.rows,
            writings[number],
            styles[number],
            rewrites.get(number, ""),
            counted.get(number),
            dated.get(number),
            said=decimal is not None,
        )
        for number, name in enumerate(source.names)
    )


def count_cells(connection: "duckdb.DuckDBPyConnection", cells: Path, batch: range) -> None:
    """Add the distinct cells of some columns, and how often each is there, to the table `seen`."""
    table = f"read_parquet({literal(str(cells))})"
    each = f"SELECT {batch[0]} AS c, c{batch[0]} AS v FROM {table} WHERE v IS NOT NULL"
    if len(batch) > 1:
        columns = ", ".join(f"c{number}" for number in batch)
        each = f"SELECT CAST(c[2:] AS INTEGER) AS c, v FROM (UNPIVOT (SELECT {columns} FROM {table}) ON COLUMNS(*) INTO NAME c VALUE v)"
    connection.execute(
        f"INSERT INTO seen SELECT c, v, n, lower(trim(v)) IN ({', '.join(map(literal, NOTHING))}) FROM "
        f"(SELECT c, v, count(*) AS n FROM ({each}) GROUP BY ALL)"
    )


def writings_of(connection: "duckdb.DuckDBPyConnection", batch: range) -> dict[int, Writing]:
    """How the numbers of some columns are written; those of whole numbers without any sign are not among them."""
    found = connection.execute(
        f"SELECT c, {writing_sql('v')} FROM seen WHERE c BETWEEN {batch[0]} AND {batch[-1]} AND NOT nothing AND length(v) < 40 "
        f"AND {has_sign_sql('v')} GROUP BY c"
    ).fetchall()
    return {
        number: Writing(
            sure_comma=int(comma),
            sure_point=int(point),
            either_comma=int(either_comma),
            either_point=int(either_point),
            signs=tuple(sorted(sign for sign in signs or () if sign)),
            shown=str(shown or ""),
        )
        for number, comma, point, either_comma, either_point, signs, shown in found
    }


def read_numbers(connection: "duckdb.DuckDBPyConnection", numbers: list[int], style: Style, sign: str) -> list[int]:
    """Make the table `judged` of the cells of some columns with their numbers; returns the columns in which one has to be rewritten."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE judged AS SELECT *, CASE WHEN nothing OR contains(v, '_') THEN NULL "
        f"ELSE {number_sql('v', style, sign)} END AS x FROM seen WHERE c IN ({', '.join(map(str, numbers))})"
    )
    changed = "SELECT DISTINCT c FROM judged WHERE TRY_CAST(v AS DOUBLE) IS DISTINCT FROM x AND x IS NOT NULL"
    return [number for (number,) in connection.execute(changed).fetchall()]


def count_kinds(connection: "duckdb.DuckDBPyConnection", rewritten: list[int]) -> dict[int, tuple[Any, ...]]:
    """What the cells of the table `judged` are, by column."""
    date = f"x IS NULL AND {is_date_sql('v')}"
    whole = f"regexp_full_match(v, '{WHOLE}') AND TRY_CAST(v AS BIGINT) IS NOT NULL"
    if rewritten:
        listed = ", ".join(map(str, rewritten))
        whole = f"CASE WHEN c IN ({listed}) THEN x = floor(x) AND abs(x) < 1e15 ELSE {whole} END"
    commonest = "(-n, v)"
    found = connection.execute(
        f"""
        SELECT c, sum(n), count(*), coalesce(sum(n) FILTER (nothing), 0),
          coalesce(sum(n) FILTER (NOT nothing AND {whole}), 0), coalesce(sum(n) FILTER (isfinite(x)), 0),
          coalesce(sum(n) FILTER (lower(trim(v)) IN ('true', 'false')), 0),
          coalesce(sum(CASE WHEN {date} THEN n END), 0),
          coalesce(sum(n) FILTER (regexp_full_match(v, '0[0-9]+')), 0), max(length(v)),
          sum(n * (1 + length(trim(v)) - length(replace(trim(v), ' ', '')))) / sum(n),
          min(x) FILTER (isfinite(x)), max(x) FILTER (isfinite(x)), quantile_disc(x, 0.5) FILTER (isfinite(x)),
          count(DISTINCT x) FILTER (isfinite(x)),
          arg_min((v, n), {commonest}, {MOST_VALUES}),
          arg_min(v, {commonest}, 5) FILTER (nothing), arg_min(v, {commonest}, 3) FILTER (NOT nothing AND (x IS NULL OR NOT isfinite(x)))
        FROM judged GROUP BY c
        """
    ).fetchall()
    return {number: tuple(kinds) for number, *kinds in found}


def of_column(
    name: str,
    rows: int,
    writing: Writing,
    style: Style | None,
    rewrite: str,
    counted: tuple[Any, ...] | None,
    written: DateStyle | None,
    *,
    said: bool,
) -> Facts:
    kinds = counted or (*(0,) * 9, 0.0, None, None, None, 0, None, None, None)  # all its cells are empty
    filled, distinct, nothings, integers, numbers, booleans, dates, zeros, longest, words, low, high, middle, different, *listed = kinds
    common, words_for_nothing, odd = (each or () for each in listed)
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
        nothing_words=tuple(map(str, words_for_nothing)),
        odd=tuple(map(str, odd)),
        written=written,
    )
