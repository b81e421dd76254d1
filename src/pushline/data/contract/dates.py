"""Dates: ISO text in files and requests, quarters of an hour since 1970-01-01 (UTC) for a model, which sees their parts.

As hours a date is one number of the matrix that float32 holds exactly until the year 2448. The parts of it, such as the weekday,
are computed by the model's own graph (training/features.py), so that service and training agree.
"""

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

DatePart = Literal["year", "month", "day", "weekday", "hour", "days"]
PARTS: dict[DatePart, str] = {
    "year": "the year",
    "month": "1 to 12",
    "day": "of the month",
    "weekday": "0 is Monday",
    "hour": "0 to 23",
    "days": "since 1970-01-01",
}
DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
OFFSET = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
DATETIME = f"{DATE}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{{1,9}})?)?{OFFSET})?"
PATTERNS = {"date": DATE, "datetime": DATETIME}
EPOCH = date(1970, 1, 1).toordinal()
DATE_EXAMPLES = {"date": "2026-11-27", "datetime": "2026-11-27T08:30"}


def hours_of(text: str, kind: str) -> float:
    """The hours from 1970-01-01 to a date, to the quarter before. Raises ValueError where the text is none."""
    if not re.fullmatch(PATTERNS[kind], text):
        raise ValueError(f"{text!r} is no {kind}")
    minutes = (date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal() - EPOCH) * 1440
    if len(text) > 10:
        minutes += int(text[11:13]) * 60 + int(text[14:16])
        sign, digits = re.sub(r"[^+-]", "", text[16:]), re.sub(r"[^0-9]", "", re.split("[+-]", text[16:])[-1])
        if sign:
            minutes -= (int(digits[:2]) * 60 + int(digits[2:] or 0)) * (1 if sign == "+" else -1)
    return minutes // 15 / 4


def hours_by_text(values: "pd.Series[Any]", kind: str) -> dict[str, float]:
    """The hours of each different text of a column, without those that are no date."""
    return {text: hours for text in values.dropna().unique() if (hours := hours_or_none(text, kind)) is not None}


def hours_or_none(text: Any, kind: str) -> float | None:
    try:
        return hours_of(text, kind) if isinstance(text, str) else None
    except ValueError:
        return None


def date_sql(cell: str, kind: str) -> str:
    """SQL that is true where a text is a date of the kind."""
    return f"(regexp_full_match({cell}, '{PATTERNS[kind]}') AND TRY_CAST({cell} AS TIMESTAMP) IS NOT NULL)"


def hours_sql(cell: str) -> str:
    """SQL of the hours since 1970-01-01, without regard to offsets."""
    return f"floor(epoch(TRY_CAST({cell} AS TIMESTAMP)) / 900) / 4"
