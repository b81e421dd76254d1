"""When a series of windows is an alarm, and what to do about it.

An alarm is raised where the newest window that says something is below its promise, and so are ENOUGH of the last LAST. A window counts as
below only beyond CHANCE, divided by the number of series that are looked at (Bonferroni), so that of 1,000 windows of a release that keeps
its promise at most one raises an alarm, however much the windows hang together: they share one promise. `docs/bench/performance.md` has the
simulation.
"""

from collections.abc import Sequence
from typing import Literal

from pushline.performance.judge import WindowFigures
from pushline.report.figures import decimal
from pushline.results import Part

ENOUGH, LAST = 2, 3
CHANCE = 1e-3

Action = Literal["retrain", "gather outcomes", "roll back"]


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
