"""A window against the promise: realised where outcomes are known, estimated everywhere; and when a series of windows is an alarm.

An alarm is raised where the newest window that says something is below its promise, and so are ENOUGH of the last LAST. A window counts
as below only beyond CHANCE, divided by the number of series that are looked at (Bonferroni), so that of 1,000 windows of a release that
keeps its promise at most one raises an alarm, however much the windows hang together: they share one promise.
`docs/bench/performance.md` has the simulation.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np
from msgspec import structs

from pushline.arrays import Mask
from pushline.performance.estimate import DensityRatio, Estimate, Rows, calibrated, estimate
from pushline.performance.windows import Window
from pushline.registry.measures import HIGHER_IS_BETTER, figure, random_figure, resampled
from pushline.report.figures import decimal
from pushline.results import Interval, Part

LEAST = 200  # rows that say something
LEAST_OF_A_CLASS = 20
ROUNDS = 200
ENOUGH, LAST = 2, 3
CHANCE = 1e-3

Action = Literal["retrain", "gather outcomes", "roll back"]


class Promise(Part, frozen=True, kw_only=True):
    """What the version does on rows that it never learned from; `limit` is what is still tolerated."""

    metric: str
    interval: Interval
    error: float  # standard
    limit: float
    rows: int

    def shortfall(self, value: float, error: float) -> float:
        """By how many standard errors a figure is on the wrong side of the limit."""
        worse = (self.limit - value) * (1 if HIGHER_IS_BETTER[self.metric] else -1)
        return float(worse / max(np.hypot(error, self.error), 1e-12))


class CalibrationCheck(Part, frozen=True, kw_only=True):
    """What estimates assume, held against the outcomes that are known: the share of a class that was expected, and the one that came."""

    expected: float
    observed: float
    holds: bool


class WindowFigures(Part, frozen=True, kw_only=True):
    """One window of one group of rows."""

    start: datetime
    end: datetime
    rows: int
    known: int
    delay_days: float | None = None
    realised: Interval | None = None
    estimated: Interval | None = None
    method: str = ""
    overlap: float | None = None
    calibration: CalibrationCheck | None = None
    verdict: Literal["kept", "below", "too few rows"] = "too few rows"
    evidence: Literal["", "outcomes", "estimate"] = ""  # what the verdict rests on


def promise_of(metric: str, reference: Rows, tolerance: float) -> Promise:
    """`tolerance` is the share of the way from a score that knows nothing to the promise that may be lost before it matters."""
    interval, error = realised(metric, reference)
    nothing = random_figure(metric, reference.labels, reference.answers.shape[1])
    return Promise(
        metric=metric,
        interval=interval,
        error=error,
        limit=interval.value + tolerance * (nothing - interval.value),
        rows=len(reference),
    )


def judge(
    promise: Promise, reference: Rows, window: Window, member: Mask, errors: float, *, density: DensityRatio | None = None
) -> WindowFigures:
    """The figures of the window's rows in the mask `member`; with the whole window's `density` they are a part of it.

    Below its promise is a window whose figure misses the limit by more than `errors` standard errors.
    """
    known, rows = window.sample.of(member & is_known(window.sample)), window.sample.of(member & window.drawn)
    size, told = (window.rows, window.known) if density is None else (len(rows), len(known))
    figures = WindowFigures(start=window.start, end=window.end, rows=size, known=told, delay_days=window.delay_days)
    if not enough(rows) or not enough(reference, labelled=True):
        return figures
    guess = estimate(promise.metric, reference, rows, density=density)
    seen, error, check = None, 0.0, None
    if enough(known, labelled=True):
        seen, error = realised(promise.metric, known)
        check = check_of(reference, guess, known)
    missed = promise.shortfall(seen.value, error) if seen else promise.shortfall(guess.interval.value, guess.error)
    return structs.replace(
        figures,
        realised=seen,
        estimated=guess.interval,
        method=guess.method,
        overlap=guess.density.overlap,
        calibration=check,
        verdict="below" if missed > errors else "kept",
        evidence="outcomes" if seen else "estimate",
    )


def realised(metric: str, known: Rows) -> tuple[Interval, float]:
    """The figure of rows whose labels are known, and its standard error."""
    drawn = resampled(metric, known.labels, [known.answers], rounds=ROUNDS, seed=7)[0]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(value=figure(metric, known.labels, known.answers), low=float(low), high=float(high)), float(np.std(drawn))


def is_known(rows: Rows) -> Mask:
    return np.asarray(np.isfinite(rows.labels) if rows.labels.dtype.kind == "f" else rows.labels >= 0)


def enough(rows: Rows, *, labelled: bool = False) -> bool:
    """Rows enough, and where their labels count enough of each class."""
    if len(rows) < LEAST or rows.answers.shape[1] == 1:
        return len(rows) >= LEAST
    sizes = np.bincount(rows.labels, minlength=rows.answers.shape[1]) if labelled else rows.answers.sum(axis=0)
    return bool(sizes.min() >= LEAST_OF_A_CLASS)


def check_of(reference: Rows, guess: Estimate, known: Rows) -> CalibrationCheck | None:
    """Whether the class that is furthest off came as often as the estimate expects, beyond chance; None for a quantity."""
    if known.answers.shape[1] == 1:
        return None
    chances = calibrated(reference, guess.density.weights, known.answers)
    came = np.eye(chances.shape[1])[known.labels]
    off = np.abs((came - chances).sum(axis=0)) / np.sqrt((chances * (1 - chances)).sum(axis=0) * (1 + len(known) / len(reference)) + 1e-9)
    most = int(off.argmax())
    return CalibrationCheck(expected=float(chances[:, most].mean()), observed=float(came[:, most].mean()), holds=bool(off[most] < 3.3))


class Alarm(Part, frozen=True, kw_only=True):
    """A group of rows for which the model does not do what was promised."""

    group: str  # empty: all rows
    cause: Literal["outcomes", "estimate"]  # what says so
    action: Action
    what: str
    do: str


def errors_for(series: int) -> float:
    """How many standard errors below the limit are beyond chance, where so many series are looked at."""
    from scipy.stats import norm

    return float(norm.isf(CHANCE / max(series, 1)))


def alarmed(windows: Sequence[WindowFigures]) -> bool:
    judged = [window for window in windows if window.verdict != "too few rows"]
    below = [window.verdict == "below" for window in judged]
    return bool(below) and below[-1] and sum(below[-LAST:]) >= ENOUGH


def alarm_of(group: str, metric: str, limit: float, windows: Sequence[WindowFigures]) -> Alarm | None:
    """The alarm of a series of windows, the oldest first; None where it keeps its promise."""
    if not alarmed(windows):
        return None
    judged = [window for window in windows if window.verdict != "too few rows"]
    newest = judged[-1]
    seen = newest.realised or newest.estimated
    who = f" of the rows where {group}" if group else ""
    figure = f"{decimal(seen.value)} ({decimal(seen.low)} to {decimal(seen.high)})" if seen else "nothing"
    what = f"{metric}{who} is {'' if newest.realised else 'estimated at '}{figure}, below the {decimal(limit)} that is tolerated."
    action, do = remedy(group, judged)
    return Alarm(group=group, cause=newest.evidence or "estimate", action=action, what=what, do=do)


def remedy(group: str, judged: Sequence[WindowFigures]) -> tuple[Action, str]:
    if judged[-1].evidence != "outcomes":
        rows = f"the rows where {group}" if group else "these rows"
        return "gather outcomes", f"Gather outcomes for {rows} and add them with `pushline outcomes add`; an estimate rests on assumptions."
    if not group and len(judged) >= ENOUGH and all(window.verdict == "below" for window in judged):
        return "roll back", "It was never as good as promised: `pushline rollback --plan` says which release would come back."
    if group:
        return "gather outcomes", f"Gather labelled rows where {group}, add them with `pushline data add`, and retrain."
    return (
        "retrain",
        "Retrain now: `pushline data add --from-outcomes` makes the rows with outcomes training data; retrain.yml delivers it.",
    )
