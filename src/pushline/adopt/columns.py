"""A contract drafted from what the cells of a table look like. What is a guess becomes a warning; why is said beside it."""

import math
import re
from typing import Any

import msgspec
from msgspec import Struct

from pushline.adopt.dates import DateStyle
from pushline.adopt.facts import Facts
from pushline.adopt.text_table import TextTable, not_adopted
from pushline.data.contract import Column
from pushline.data.contract.dates import DatePart
from pushline.data.files.table import literal

ENOUGH = 30  # rows from which "different in every row" means something
DIFFERENT = 0.98  # share of distinct values of an identifier
LISTED = 200  # values a text column may have at most to be listed
OTHERS = 0.8  # share of the rows that may hold values that are not listed, where values are too many
ROWS_A_VALUE = 5  # rows each value has at least, on average, where there are more than a few
FEW = 10  # values that are listed with fewer rows each
LONG = 80  # characters of a value that is no category
PAD = 0.1  # of the range, on both sides
ID_NAME = re.compile(r"(?i)(^|[^a-z])(id|uuid|guid|key|index|row|no|nr|number|identifier)$")
ENTITY = re.compile(
    r"(?i)(^|[^a-z])(id|uuid|guid|key|identifier|customer|client|patient|user|member|account|person|subject|household|employee|student"
    r"|machine|device|sensor|vehicle|session|player|driver|seller|vendor)([ _-]?(id|no|nr|number|code|key))?$"
)
GROUP_CAMEL = re.compile(r"[a-z](ID|Id|Key)$")
FEWEST_GROUPS = 20  # different values of an identifier whose rows belong together
ROWS_A_GROUP = 1.2  # of them, on average
ID_CAMEL = re.compile(r"[a-z](ID|Id|Key|No|Nr)$")


# True and false as spreadsheets of other languages write them; a yes is a value like any other.
TRUTHS = {
    "wahr": "falsch", "vrai": "faux", "vero": "falso", "verdadero": "falso", "verdadeiro": "falso", "waar": "onwaar", "sant": "falskt",
    "sand": "falsk", "sann": "usann", "tosi": "epätosi", "prawda": "fałsz", "pravda": "nepravda", "igaz": "hamis", "истина": "ложь",
}  # fmt: skip


class ColumnDraft(Struct, frozen=True, kw_only=True):
    """One column of the contract, and how a cell of the file becomes one of its values."""

    column: Column
    rewrite: str = ""  # SQL of the cell as it is to be written; empty: as it is
    rewritten: str = ""  # the same in words
    told: str = ""  # how its numbers were read where that could be done otherwise
    is_group: bool = False  # an identifier that repeats: its rows belong together


def draft(facts: Facts, source: TextTable) -> ColumnDraft:
    """The draft of one column that is not the label. Raises DataCorrupt for numbers that can be read in two ways."""
    if not facts.said or facts.distinct <= 1:
        what = "one value in every row" if facts.distinct == 1 and facts.filled == facts.rows else "no more than one value"
        return aside(facts, f"It holds {what}: nothing can be learned from it", role="ignored")
    if facts.booleans == facts.said and facts.nothing + facts.booleans == facts.filled:
        flags = Column(name=facts.name, type="boolean", missing_at_most=tolerated(facts, without_nothing=True), example=True)
        return ColumnDraft(column=flags, **emptied(facts, "boolean"))
    if facts.numbers == facts.said and not facts.leading_zeros:
        return number(facts, source)
    if words := truths(facts):
        return truth(facts, *words)
    if facts.dates >= 0.95 * facts.said:
        return dates(facts)
    return text(facts)


def truths(facts: Facts) -> tuple[str, str] | None:
    """The words for true and false, where a column holds these two alone."""
    seen = {value.strip().casefold() for value, _ in facts.values}
    return next(((yes, no) for yes, no in TRUTHS.items() if seen == {yes, no}), None)


def truth(facts: Facts, yes: str, no: str) -> ColumnDraft:
    cell = f"CASE lower(trim({{cell}})) WHEN {literal(yes)} THEN 'true' WHEN {literal(no)} THEN 'false' END"
    flags = Column(name=facts.name, type="boolean", missing_at_most=tolerated(facts), example=True)
    return ColumnDraft(column=flags, rewrite=cell, rewritten=f"{yes} and {no} of `{facts.name}` as true and false")


def dates(facts: Facts) -> ColumnDraft:
    """A column of dates; left out where not all cells are dates of one form, or days and months can't be told apart."""
    style = facts.written
    if style is None or style.other:
        odd = f"{facts.said - facts.dates:,} of {facts.said:,} cells are none, or they are written in several ways"
        why = odd if style is None else f"{style.format} and {style.other} both fit every cell, so days and months can't be told apart"
        return aside(facts, f"Dates: {why}. Write them as 2026-11-27", role="ignored")
    shown = facts.odd[0] if facts.odd else ""
    parts: tuple[DatePart, ...] = ("year", "month", "weekday") if style.kind == "date" else ("year", "month", "weekday", "hour")
    column = Column(
        name=facts.name, type=style.kind, missing_at_most=tolerated(facts, without_nothing=True), parts=parts, example=example_of(style)
    )
    if not style.rewrite:
        return ColumnDraft(column=column, **emptied(facts, style.kind))
    told = f"dates of `{facts.name}` such as {shown} as {(style.kind == 'date' and '2026-11-27') or '2026-11-27T08:30:00'}"
    return ColumnDraft(column=column, rewrite=style.rewrite, rewritten=f"{told} ({style.format})")


def example_of(style: DateStyle) -> str:
    return style.last[:10] if style.kind == "date" else style.last


def number(facts: Facts, source: TextTable, *, identifier: bool = True) -> ColumnDraft:
    """A column of numbers; `identifier`: one that numbers the rows is none."""
    if facts.style is None:
        raise not_adopted(
            source.file,
            f"Numbers of {facts.name} such as {facts.writing.shown} hold a sign that may part thousands or decimals.",
            "Nothing was changed. Say which sign parts decimals: --decimal , or --decimal . for the whole table.",
        )
    whole = facts.integers == facts.said and abs(facts.low or 0) < 2**53 and abs(facts.high or 0) < 2**53
    if identifier and whole and identifies(facts):
        span = f"{facts.low:.0f} to {facts.high:.0f}"
        return aside(facts, f"A different whole number in every row ({span}): an identifier or a count of the rows", role="identifier")
    if identifier and whole and groups(facts, facts.distinct_numbers):
        return group(facts)
    low, high = padded(facts, whole=whole)
    example: int | float = int(facts.middle or 0) if whole else float(facts.middle or 0)
    column = Column(
        name=facts.name,
        type="integer" if whole else "number",
        minimum=low,
        maximum=high,
        missing_at_most=tolerated(facts, without_nothing=True),
        severity="warning",
        example=example,
    )
    return ColumnDraft(column=column, told=two_ways(facts), **emptied(facts, "number"))


def identifies(facts: Facts) -> bool:
    """Whether whole numbers are an identifier: all different, and either dense or called like one."""
    if facts.said < ENOUGH or facts.distinct_numbers < DIFFERENT * facts.said:
        return False
    dense = (facts.high or 0) - (facts.low or 0) + 1 <= 1.05 * facts.said
    return dense or is_id_name(facts.name)


def groups(facts: Facts, distinct: int) -> bool:
    """Whether a column is an identifier that repeats, by its name and its values."""
    return FEWEST_GROUPS <= distinct <= facts.filled / ROWS_A_GROUP and bool(ENTITY.search(facts.name) or GROUP_CAMEL.search(facts.name))


def group(facts: Facts) -> ColumnDraft:
    reason = f"An identifier that repeats, {facts.distinct:,} values in {facts.filled:,} rows: its rows belong together"
    made = aside(facts, reason, role="identifier")
    complete = facts.filled == facts.rows
    column = msgspec.structs.replace(made.column, missing_at_most=0.0 if complete else 1.0)
    return ColumnDraft(column=column, is_group=complete)


def is_id_name(name: str) -> bool:
    return bool(ID_NAME.search(name) or ID_CAMEL.search(name))


def padded(facts: Facts, *, whole: bool) -> tuple[float, float]:
    """The bounds: what was seen and a tenth of the range on both sides, in round numbers; 0 and 1 stay 0 and 1."""
    low, high = float(facts.low or 0), float(facts.high or 0)
    if whole and facts.distinct_numbers <= 2:
        return low, high
    span = high - low or max(abs(high), 1.0)
    digits = 1 - math.floor(math.log10(span))
    digits = min(digits, 0) if whole else digits
    unit = 10.0**-digits
    lower = round(math.floor((low - PAD * span) / unit) * unit, max(digits, 0))
    upper = round(math.ceil((high + PAD * span) / unit) * unit, max(digits, 0))
    return (max(lower, 0.0) if low >= 0 else lower), (min(upper, 0.0) if high <= 0 else upper)


def text(facts: Facts) -> ColumnDraft:
    """A text: listed values, an identifier, free text, or too many values to list."""
    share = facts.distinct / facts.filled
    if groups(facts, facts.distinct):
        return group(facts)
    if facts.longest > LONG or (facts.words >= 4 and share > 0.3):
        return aside(facts, "Free text: a model can't learn from it as it is", role="ignored")
    if facts.filled >= ENOUGH and (share >= DIFFERENT or (share >= 0.9 and is_id_name(facts.name))):
        return aside(facts, f"{facts.distinct:,} different texts in {facts.filled:,} rows: an identifier", role="identifier")
    few = facts.distinct <= FEW and facts.filled >= 2 * facts.distinct
    many = not few and (facts.distinct > LISTED or facts.filled < ROWS_A_VALUE * facts.distinct)
    counts = {value: count for value, count in facts.values if count >= ROWS_A_VALUE or not many}
    others = facts.filled - sum(counts.values())
    if many and (others > OTHERS * facts.filled or facts.numbers > facts.said / 2):
        odd = f", {facts.numbers:,} of them numbers, others such as {', '.join(map(repr, facts.odd))}" if facts.numbers else ""
        reason = f"{facts.distinct:,} different texts in {facts.filled:,} rows{odd}: too many to list, so the model could use none"
        return aside(facts, reason, role="ignored")
    word = next((each for each in facts.nothing_words if each in counts and each.strip().lower() not in ("none", "-", ".")), None)
    column = Column(
        name=facts.name,
        type="string",
        allowed=tuple(sorted(counts, key=in_order)),
        other=many,
        unknown=word,
        unknown_at_most=padded_share(counts[word] / facts.filled) if word is not None else 1.0,
        missing_at_most=padded_share((facts.rows - facts.filled + others) / facts.rows) if many else tolerated(facts),
        severity="warning",
        example=next(value for value, _ in facts.values if value != word),
    )
    return ColumnDraft(column=column)


def in_order(value: str) -> tuple[bool, float, str]:
    """Numbers by size before texts by alphabet."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def aside(facts: Facts, reason: str, role: str) -> ColumnDraft:
    """A column that is accepted and not used, with the reason."""
    whole = role == "identifier" and facts.integers == facts.filled and not facts.leading_zeros and not facts.rewrite
    column = Column(
        name=facts.name,
        type="integer" if whole else "string",
        role="identifier" if role == "identifier" else "ignored",
        reason=reason,
        missing_at_most=1.0,
    )
    return ColumnDraft(column=column)


def two_ways(facts: Facts) -> str:
    """How numbers were read that could be read otherwise, where nothing in their own column decided it; empty where none could."""
    writing = facts.writing
    if not facts.guessed or not writing.shown or not (writing.either_comma or writing.either_point):
        return ""
    decimals = writing.either_comma if facts.style == "comma" else writing.either_point
    other = "." if facts.style == "comma" else ","
    meant = "decimals" if decimals else "thousands"
    return f"{writing.shown} of `{facts.name}` was read as {meant} (--decimal {other} reads it the other way)"


def emptied(facts: Facts, kind: str) -> dict[str, Any]:
    """How words for "nothing", commas and signs are rewritten, as fields of ColumnDraft; none where there are none."""
    cell, said = "{cell}", []
    if kind == "number" and facts.rewrite:
        writing = facts.writing
        cell = f"CASE WHEN {{cell}} IS NOT NULL THEN CAST({facts.rewrite} AS VARCHAR) END"
        commas = facts.style != "point" and writing.sure_comma + writing.either_comma
        thousands = writing.either_point if facts.style == "comma" else writing.either_comma if facts.style == "point" else 0
        said += [f"decimal commas of `{facts.name}` as points"] if commas else []
        said += [f"thousands of `{facts.name}` such as {writing.shown} without a sign between them"] if thousands else []
        said += [f"{', '.join(writing.signs)} of `{facts.name}` left out"] if writing.signs else []
        said = said or [f"numbers of `{facts.name}` with a point for decimals and nothing between thousands"]
    if facts.nothing:
        words = ", ".join(map(literal, sorted({word.strip().lower() for word in facts.nothing_words})))
        cell = f"CASE WHEN lower(trim({{cell}})) NOT IN ({words}) THEN {cell} END"
        said.append(f"{', '.join(map(repr, facts.nothing_words))} in `{facts.name}` as empty")
    return {"rewrite": cell, "rewritten": " and ".join(said)} if said else {}


def tolerated(facts: Facts, *, without_nothing: bool = False) -> float:
    """The share of empty cells that is tolerated: half as many again as there are."""
    empty = facts.rows - (facts.said if without_nothing else facts.filled)
    return padded_share(empty / facts.rows) if empty else 0.0


def padded_share(share: float) -> float:
    return min(1.0, math.ceil((share * 1.5 + 0.02) * 100) / 100)
