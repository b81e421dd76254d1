"""`pushline performance`: what the released model does now, as far as outcomes tell and as far as it can be estimated."""

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from pushline.data.contract import Column, Contract
from pushline.data.profile.recorded import BEGINNING
from pushline.delivery import Delivery
from pushline.performance.estimate import LOSSES, Rows, density_ratio
from pushline.performance.judge import LAST, Alarm, Promise, WindowFigures, alarm_of, errors_for, judge, promise_of
from pushline.performance.windows import Window, reference_of, windows_of
from pushline.registry.store import version_or_champion
from pushline.results import Part
from pushline.serving.model_folder import read_contract, read_scoring
from pushline.training.evaluate import members_of
from pushline.training.judge import DEFAULT_METRIC

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("integer", "number")
ALWAYS = (
    "The chance of the label given the row is what it was in training. Where it changed (concept shift) every estimate is blind: "
    "only outcomes show it."
)
CLASSES = "Probabilities are calibrated on the hold-out, weighted where a window is distributed otherwise (CBPE; weighted: PAPE)."
QUANTITIES = "A second model expects each row's loss from the row and its prediction, as it learned on the hold-out (DLE)."
BIAS = (
    "Outcomes are those that were added. Where only some decisions get one (a loan that was granted), realised figures are of these alone."
)
THIN = "Less than a third of the hold-out speaks for the newest window: its estimate leans on few rows."
BROKEN = (
    "In the newest window with outcomes a class came more or less often than was expected, beyond chance: believe outcomes, not estimates."
)


class Series(Part, frozen=True, kw_only=True):
    """The windows of one group of rows, the oldest first, and its promise."""

    group: str  # empty: all rows
    promise: Promise
    windows: tuple[WindowFigures, ...]


class PerformanceResult(Part, frozen=True, kw_only=True):
    """A version since it was released."""

    version: str
    metric: str
    window: str
    series: tuple[Series, ...]  # all rows first
    alarms: tuple[Alarm, ...]
    assumptions: tuple[str, ...]


def performance(
    delivery: Delivery, *, version: str | None = None, window: str | None = None, since: datetime | None = None
) -> PerformanceResult:
    """Windows of what `version` (by default the champion) answered, against what its card promises.

    Raises DataUnavailable where nothing was logged, RegistryError where there is no such version.
    """
    from msgspec import structs

    store, settings = delivery.store(), delivery.settings.performance
    settings = structs.replace(settings, window=window) if window else settings
    found = version_or_champion(store, version)
    folder = store.download(found.version)
    contract, scoring = read_contract(folder), read_scoring(folder)
    metric = found.tags.get("metric") or DEFAULT_METRIC[contract.task]
    frame, reference = reference_of(delivery, found, folder)
    groups = [members_of(frame[column.name], number=column.type in NUMBERS) for column in sensitive(contract)]
    errors = errors_for(1 + sum(map(len, groups)))
    promise = promise_of(metric, reference, settings.tolerance)
    windows: list[WindowFigures] = []
    newest: list[Window] = []
    delivery.progress(f"Reading what version {found.version} answered.")
    for one in windows_of(delivery.project, contract, scoring, found.version, settings, since or BEGINNING):
        windows.append(judge(promise, reference, one, np.ones(len(one.sample), dtype=bool), errors))
        newest = [*newest, one][-LAST:]
    series = [Series(group="", promise=promise, windows=tuple(windows))]
    series += group_series(promise, settings.tolerance, contract, frame, reference, newest, errors)
    alarms = [alarm_of(one.group, metric, one.promise.limit, one.windows) for one in series]
    return PerformanceResult(
        version=found.version,
        metric=metric,
        window=settings.window,
        series=tuple(series),
        alarms=tuple(alarm for alarm in alarms if alarm),
        assumptions=assumptions_of(metric, windows),
    )


def group_series(
    promise: Promise, tolerance: float, contract: Contract, frame: "pd.DataFrame", reference: Rows, newest: list[Window], errors: float
) -> list[Series]:
    """The newest windows of each group of the contract's sensitive columns, against what was promised for it."""
    import pandas as pd

    densities = [density_ratio(reference.matrix, one.sample.matrix[one.drawn]) for one in newest]
    frames, found = [frame, *(one.frame for one in newest)], []
    for column in sensitive(contract):
        values = pd.concat([each[column.name] for each in frames], ignore_index=True)
        for value, member in members_of(values, number=column.type in NUMBERS):
            known, *others = np.split(member, np.cumsum([len(each) for each in frames])[:-1])
            if not known.any():
                continue
            part = reference.of(known)
            own = promise_of(promise.metric, part, tolerance)
            judged = (
                judge(own, part, one, rows, errors, density=density.of(known))
                for one, rows, density in zip(newest, others, densities, strict=True)
            )
            found.append(Series(group=f"{column.name} is {value}", promise=own, windows=tuple(judged)))
    return found


def sensitive(contract: Contract) -> list[Column]:
    return [column for column in contract.features() if column.sensitive]


def assumptions_of(metric: str, windows: list[WindowFigures]) -> tuple[str, ...]:
    """What the figures rest on, and what of it can be seen not to hold."""
    said = [ALWAYS, QUANTITIES if metric in LOSSES else CLASSES, BIAS]
    checks = [window.calibration for window in windows if window.calibration]
    overlaps = [window.overlap for window in windows if window.overlap is not None]
    said += [THIN] if overlaps and overlaps[-1] < 1 / 3 else []
    return (*said, BROKEN) if checks and not checks[-1].holds else tuple(said)
