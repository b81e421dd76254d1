"""Numbers as people write them: which sign parts decimals, which thousands, and what stands around them.

`1.234,5` can be read in one way, `1,234` and `2.000` in two. What a column's other cells leave no doubt about, or else the
other columns of the table, decides; where nothing does, the column is refused, or said how it was read. `--decimal` decides all.
"""

from typing import Literal

from msgspec import Struct

from pushline.data.files.table import literal

Style = Literal["point", "comma", "each"]  # of one column; each: every cell in the one way it can be read
COMMA = r"[+-]?([0-9]+|[0-9]{1,3}([.][0-9]{3})+),[0-9]+"
POINT = r"[+-]?([0-9]+|[0-9]{1,3}(,[0-9]{3})+)[.][0-9]*"
GROUPED = {"comma": r"[+-]?[0-9]{1,3}([.][0-9]{3})+(,[0-9]+)?", "point": r"[+-]?[0-9]{1,3}(,[0-9]{3})+([.][0-9]+)?"}
EITHER = {"comma": r"[+-]?[1-9][0-9]{0,2},[0-9]{3}", "point": r"[+-]?[1-9][0-9]{0,2}[.][0-9]{3}"}  # decimals or thousands
SIGN = "[€$£¥%]|(?:EUR|USD|GBP|CHF)"


class Writing(Struct, frozen=True, kw_only=True):
    """How the numbers of one column are written: counts of cells, but for `signs`."""

    sure_comma: int  # that can only have a decimal comma, or points between thousands
    sure_point: int
    either_comma: int  # such as 1,234
    either_point: int  # such as 1.234
    signs: tuple[str, ...]  # that stand before or behind numbers: percent, currencies
    shown: str  # a cell that can be read in two ways


def bare(cell: str, sign: str) -> str:
    """SQL of a cell without the sign around its number."""
    if not sign:
        return f"trim({cell})"
    return f"trim(replace({cell}, {literal(sign)}, ''))"


def has_sign_sql(cell: str) -> str:
    """SQL of whether a cell holds any of the signs that a Writing counts, so that most cells of texts are looked at once."""
    return f"regexp_matches({cell}, '[.,]|{SIGN}')"


def writing_sql(cell: str) -> str:
    """SQL of the counts of a Writing over distinct cells `cell`, each of them `n` times."""
    signed = f"regexp_matches({cell}, '{SIGN}')"
    plain = f"CASE WHEN {signed} THEN trim(regexp_replace(trim({cell}), '^({SIGN})|({SIGN})$', '')) ELSE trim({cell}) END"

    def cells(holds: str, pattern: str, *, but: str = "") -> str:
        without = f" AND NOT regexp_full_match({plain}, '{but}')" if but else ""
        return f"coalesce(sum(n) FILTER (contains({cell}, '{holds}') AND regexp_full_match({plain}, '{pattern}'){without}), 0)"

    twice = {"comma": r"[+-]?[0-9]{1,3}([.][0-9]{3}){2,}", "point": r"[+-]?[0-9]{1,3}(,[0-9]{3}){2,}"}
    return ", ".join(
        [
            f"{cells(',', COMMA, but=EITHER['comma'])} + {cells('.', twice['comma'])}",
            f"{cells('.', POINT, but=EITHER['point'])} + {cells(',', twice['point'])}",
            cells(",", EITHER["comma"]),
            cells(".", EITHER["point"]),
            f"list(DISTINCT regexp_extract({cell}, '{SIGN}')) FILTER ({signed} AND regexp_matches({plain}, '^[+-]?[0-9][0-9.,]*$'))",
            f"min(trim({cell})) FILTER (regexp_full_match({plain}, '{EITHER['comma']}|{EITHER['point']}'))",
        ]
    )


def style_of(column: Writing, table: Style | None, said: str | None) -> Style | None:
    """How to read a column; None where nothing tells. `table`: what the other columns leave no doubt about; `said`: --decimal."""
    if said is not None:
        return "comma" if said == "," else "point"
    if column.sure_comma and column.sure_point:
        return None if column.either_comma or column.either_point else "each"
    if column.sure_comma or column.sure_point:
        return "comma" if column.sure_comma else "point"
    if column.either_comma:
        return table
    return table or "point"


def style_of_table(columns: list[Writing]) -> Style | None:
    """The style that some columns show beyond doubt and none contradicts."""
    comma, point = any(column.sure_comma for column in columns), any(column.sure_point for column in columns)
    return None if comma == point else "comma" if comma else "point"


def number_sql(cell: str, style: Style, sign: str = "") -> str:
    """A cell as a number in SQL; NULL where it is none."""
    plain = bare(cell, sign)
    if style == "each":
        comma, point = number_sql(cell, "comma", sign), number_sql(cell, "point", sign)
        return f"CASE WHEN regexp_full_match({plain}, '{COMMA}') THEN {comma} ELSE {point} END"
    grouped = f"regexp_full_match({plain}, '{GROUPED['point']}')"
    if style == "point":
        return f"TRY_CAST(CASE WHEN {grouped} THEN replace({plain}, ',', '') ELSE {plain} END AS DOUBLE)"
    read = f"replace(replace({plain}, '.', ''), ',', '.')"
    fits = f"regexp_full_match({plain}, '{COMMA}|{GROUPED['comma']}')"
    return f"TRY_CAST(CASE WHEN {fits} THEN {read} WHEN NOT contains({plain}, '.') THEN {plain} END AS DOUBLE)"
