"""How figures and foreign text are written, the same in the terminal, in summaries and in the report."""

import math
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pushline.results import Interval, RegisterResult, Scalar
from pushline.wording import count, counted

__all__ = ["count", "counted"]  # and what stands below

Written = Callable[[float], str]

NAMES = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "f1": "F1",
    "share_predicted": "predicted positive",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "mape": "MAPE",
    "coverage": "interval coverage",
    "width": "interval width",
    "pinball": "pinball loss of the interval",
    "gain_low": "gain, lower end",
    "gain_high": "gain, upper end",
    "challenger_low": "challenger, lower end",
    "challenger_high": "challenger, upper end",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "p99_ms": "p99",
}
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "rmse", "mae", "mape", "width", "pinball"})
NOTHING = "–"


def decimal(value: float | None, digits: int = 4) -> str:
    """A figure between 0 and 1, or a loss; one that is in a label's unit has as many digits as tell something."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:z.{digits}f}" if abs(value) < 10 else f"{value:,.{max(0, 3 - len(str(int(abs(value)))) + 1)}f}"


def between(interval: Interval, digits: int = 3) -> str:
    """A figure with its 95 % interval."""
    return f"{decimal(interval.value, digits)} [{decimal(interval.low, digits)} to {decimal(interval.high, digits)}]"


def percent(share: float, digits: int = 1) -> str:
    """A share that was seen: 11.2 %."""
    return f"{100 * share:.{digits}f} %"


def promised(share: float) -> str:
    """A share that was set, as it was written: 90 %, 0.5 %, 0 %."""
    return f"{100 * share:.6g} %"


def share_of(part: float, whole: float) -> str:
    return percent(part / whole) if whole else NOTHING


def milliseconds(value: float) -> str:
    """A latency to three significant digits: 0.84 ms, 12.3 ms, 250 ms."""
    if not math.isfinite(value):
        return NOTHING
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} ms"


def per_second(value: float) -> str:
    return f"{value:,.1f}/s"


def duration(seconds: float) -> str:
    """A time a person waited: 0.84 s, 34 s, 2 min 05 s, 1 h 02 min."""
    if seconds < 10:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def named(key: str) -> str:
    """A key of a result in words."""
    return NAMES.get(key) or visible(key.replace("_", " "))


def scalar(value: Scalar) -> str:
    """Any single value of a result's evidence."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return count(value) if value.is_integer() and abs(value) >= 10 else f"{value:.4g}" if abs(value) >= 10 else f"{value:.4f}"
    return visible(value)


def fact(key: str, value: Scalar) -> str:
    """A value of a result's evidence, where a metric's name is one too."""
    return named(visible(value)) if key == "metric" else scalar(value)


def evidence_rows(registered: RegisterResult) -> list[tuple[str, str]]:
    """What a decision rests on; an interval that training gave already is not given a second time, from other resamples."""
    twice = ("challenger_low", "challenger_high")
    return [(named(key), fact(key, value)) for key, value in registered.decision.evidence.items() if key not in twice]


def visible(text: object, limit: int = 300) -> str:
    """Foreign text on one line, with nothing in it that moves a cursor or hides: \\x1b, \\u202e and their like are spelled out."""
    written = "".join(
        c if c == " " or unicodedata.category(c)[0] not in "CZ" else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text)
    )
    return written if len(written) <= limit else written[: limit - 1] + "…"


def numbers(lines: tuple[int, ...], first: int = 5) -> str:
    """Line numbers, the first few: 4, 9, 100 …"""
    return ", ".join(map(str, lines[:first])) + (" …" if len(lines) > first else "")


def short(digest: str) -> str:
    """The beginning of a hash, enough to recognise it."""
    return digest[:12]


def file_name(path: str) -> str:
    return visible(Path(path).name)
