"""The label of the table: its classes, and which of two is the one that is predicted; or a quantity."""

import math
from shlex import quote as quoted
from typing import Literal

import msgspec
from msgspec import Struct

from pushline.adopt.columns import TRUTHS, ColumnDraft, in_order, number, padded_share
from pushline.adopt.facts import Facts
from pushline.adopt.text_table import TextTable
from pushline.data.contract import Column
from pushline.data.files.table import literal
from pushline.errors import SettingsError
from pushline.wording import counted

MOST_CLASSES = 50
FRACTIONS = 20  # different numbers that are not all whole, from which they are no names of classes
FEWEST = 50  # rows with a quantity
UNLABELLED = ("na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "?", "#null!")
YES = ("1", "yes", "y", "true", "t", "positive", "pos", "ja", "oui", "si", "sí", "sim", "tak", "да", "是", *TRUTHS)


class Label(Struct, frozen=True, kw_only=True):
    """The drafted label column and what it tells apart."""

    drafted: ColumnDraft
    counts: dict[str, int]  # rows by class, in the contract's order; none for a quantity
    positive: str | None
    guessed: str = ""  # how `positive`, or the task, was found where nobody named it
    task: Literal["classification", "regression"] = "classification"

    @property
    def column(self) -> Column:
        return self.drafted.column

    @property
    def rarest(self) -> float:
        return min(self.counts.values()) / sum(self.counts.values())


def label_of(facts: dict[str, Facts], name: str, positive: str | None, source: TextTable, task: str | None = None) -> Label:
    """The label named `name`. Raises SettingsError for a column that is not there or is no label."""
    if name not in facts:
        near = next((each for each in facts if each.casefold() == name.strip().casefold()), None)
        raise refused(
            source, f"{source.file.name} has no column {name!r}.", f"Did you mean {near!r}?" if near else f"It has {', '.join(facts)}."
        )
    seen = facts[name]
    why = quantity_of(seen) if positive is None else ""
    if task == "regression" or (why and task is None):
        return quantity(seen, source, why if task is None else "")
    unlabelled = [value for value, _ in seen.values if value.strip().lower() in UNLABELLED]
    values = {value: count for value, count in seen.values if value not in unlabelled}
    if seen.distinct > MOST_CLASSES + len(unlabelled):
        number = seen.numbers > 0.9 * seen.said
        odd = f" but for cells such as {', '.join(map(repr, seen.odd))}" if seen.odd else ""
        what = f"a quantity rather than a class{odd}" if number else "no class"
        do = "Correct these cells, and it can be adopted as a quantity." if number and odd else "Leave --task out: it is a quantity."
        raise refused(
            source,
            f"{name} has {seen.distinct:,} different values: it is {what}.",
            "A classifier tells a few classes apart.",
            **({"do": do} if number else {}),
        )
    kind = type_of(seen, values)
    counts: dict[str, int] = {}
    for value, count in sorted(values.items(), key=lambda each: in_order(each[0])):
        written = as_class(value, kind)
        counts[written] = counts.get(written, 0) + count
    if len(counts) < 2:
        raise refused(source, f"{name} holds {len(counts)} class{'es' * (len(counts) != 1)}.", "There is nothing to tell apart.")
    chosen, guessed = positive_of(counts, positive, kind, name, source)
    rewrite = f"CASE WHEN {{cell}} NOT IN ({', '.join(map(literal, unlabelled))}) THEN {{cell}} END" if unlabelled else ""
    empty = (seen.rows - sum(counts.values())) / seen.rows
    column = Column(
        name=name,
        type="integer" if kind == "integer" else "boolean" if kind == "boolean" else "string",
        role="label",
        allowed=tuple(counts),
        missing_at_most=padded_share(empty) if empty else 0.0,
    )
    words = f"{', '.join(map(repr, unlabelled))} in `{name}` as empty" if unlabelled else ""
    return Label(drafted=ColumnDraft(column=column, rewrite=rewrite, rewritten=words), counts=counts, positive=chosen, guessed=guessed)


def quantity_of(seen: Facts) -> str:
    """Why a column is a quantity, as a clause; empty where it is none, or may as well be a class."""
    if seen.numbers != seen.said or seen.leading_zeros or not seen.said:
        return ""
    if seen.distinct_numbers > MOST_CLASSES:
        return f"it has {seen.distinct_numbers:,} different numbers"
    if seen.integers != seen.said and seen.distinct_numbers > FRACTIONS:
        return f"it has {seen.distinct_numbers:,} different numbers, and not all are whole"
    return ""


def quantity(seen: Facts, source: TextTable, guessed: str) -> Label:
    """The draft of a label that is a quantity. Raises SettingsError for one that holds something else than numbers, or too few rows."""
    if seen.numbers != seen.said:
        odd = f"{seen.said - seen.numbers:,} of its {seen.said:,} cells are no number, such as {', '.join(map(repr, seen.odd))}."
        raise refused(source, f"{seen.name} is no quantity.", odd, "Correct these cells, or leave --task out.")
    if seen.said < FEWEST or seen.distinct_numbers < 2:
        what = f"{seen.said:,} of its rows hold {counted(seen.distinct_numbers, 'different value')} of {seen.name}"
        raise refused(source, f"{what}; at least {FEWEST} rows are needed.", "", "Bring more rows.")
    drafted = number(seen, source, identifier=False)
    low, high = float(seen.low or 0), float(seen.high or 0)
    span = float(f"{high - low:.1g}")  # what is farther off than all that was seen is wide is another unit or a slip
    bounds = {"minimum": 0.0 if low >= 0 else math.floor(low - span), "maximum": math.ceil(high + span)}
    column = msgspec.structs.replace(drafted.column, role="label", severity="critical", **bounds)
    return Label(
        drafted=msgspec.structs.replace(drafted, column=column),
        counts={},
        positive=None,
        guessed=guessed,
        task="regression",
    )


def refused(source: TextTable, why: str, more: str, do: str = "Name the column that is to be predicted with --label.") -> SettingsError:
    return SettingsError(f"{source.file.name} can't be adopted.", why=f"{why} {more}", do=f"Nothing was changed. {do}")


def type_of(seen: Facts, values: dict[str, int]) -> str:
    filled = sum(values.values())
    if seen.booleans == filled:
        return "boolean"
    return "integer" if seen.integers == filled and not seen.leading_zeros else "string"


def as_class(value: str, kind: str) -> str:
    """A label's cell as the contract writes it."""
    if kind == "integer":
        return str(int(float(value)))
    return value.strip().lower() if kind == "boolean" else value


def positive_of(counts: dict[str, int], said: str | None, kind: str, name: str, source: TextTable) -> tuple[str | None, str]:
    """The class that is predicted of two, and how it was found; None for more than two classes."""
    if said is not None:
        wanted = as_class(said, kind) if said in counts or kind == "boolean" else said
        if len(counts) > 2:
            raise refused(source, f"--positive goes with two classes, and {name} has {len(counts)}.", "", "Leave --positive out.")
        if wanted not in counts:
            near = [value for value in counts if value.casefold() == said.strip().casefold()]
            yes = near or [value for value in counts if said.strip().casefold() in YES and value.strip().casefold() in YES]
            rarer = min(counts, key=lambda value: counts[value])
            do = f"Did you mean --positive {quoted(yes[0])}?" if yes else f"Name one of the two, such as --positive {quoted(rarer)}."
            raise refused(source, f"{said!r} is no value of {name}.", f"It holds {' and '.join(map(repr, counts))}.", do)
        return wanted, ""
    if len(counts) > 2:
        return None, ""
    yes = [value for value in counts if value.strip().casefold() in YES]
    if len(yes) == 1:
        return yes[0], f"{yes[0]!r} reads like a yes"
    rarer = min(counts, key=lambda value: (counts[value], value))
    return rarer, f"{rarer!r} is the rarer class" if len(set(counts.values())) == 2 else "both classes are equally frequent"
