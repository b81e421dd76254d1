"""What became of each stage, read from what the stages left in `build/`."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from pushline.errors import SettingsError
from pushline.report import figures
from pushline.results import (
    KINDS,
    CheckDataResult,
    DeployResult,
    Failure,
    FetchResult,
    LoadTestResult,
    Part,
    PromoteResult,
    RegisterResult,
    Result,
    SmokeResult,
    TrainResult,
    failure_of,
    load,
)

# refused: a gate said no. stale: left by an earlier run, older than what comes before it.
StateName = Literal["done", "refused", "failed", "interrupted", "stale", "running", "not run"]


class StageState(Struct, frozen=True, kw_only=True):
    """One stage of the newest run."""

    name: str
    state: StateName
    elapsed_s: float | None = None
    figure: str = ""  # the one figure that matters
    result: Result | None = None
    failure: Failure | None = None

    @property
    def words(self) -> str:
        """The state with the time it took."""
        return self.state if self.elapsed_s is None else f"{self.state}, {figures.duration(self.elapsed_s)}"


class StageOutcome(Part, frozen=True, kw_only=True):
    """What became of a stage, as `--json` prints it."""

    stage: str
    state: StateName
    elapsed_s: float | None
    figure: str


def outcomes(states: tuple[StageState, ...]) -> tuple[StageOutcome, ...]:
    return tuple(StageOutcome(stage=s.name, state=s.state, elapsed_s=s.elapsed_s, figure=s.figure) for s in states)


def states_of(build: Path) -> tuple[StageState, ...]:
    """Every stage in order; nothing is taken for done that has not left a result newer than its predecessor's.

    A fetch that brought the same data again, as each job of a delivery does, makes nothing stale.
    """
    states: list[StageState] = []
    newest: datetime | None = None
    fetched: FetchResult | None = None
    for name, kind in KINDS.items():
        state = state_of(build, name, kind)
        result = state.result
        if isinstance(result, FetchResult):
            fetched = result
        elif result is not None:
            if isinstance(result, CheckDataResult | TrainResult) and fetched and result.data_version != fetched.data_version:
                newest = max(newest or fetched.made_at, fetched.made_at)
            if newest and result.made_at < newest:
                state = msgspec.structs.replace(state, state="stale")
            newest = max(newest or result.made_at, result.made_at)
        states.append(state)
    return tuple(states)


def state_of(build: Path, name: str, kind: type[Result]) -> StageState:
    failure = failure_of(build, name)
    if failure is not None:
        # A gate that closes before the stage has anything to leave has said no all the same.
        refused = failure.exit_code == 1 and failure.expected
        became: StateName = "interrupted" if failure.interrupted else "refused" if refused else "failed"
        figure = "" if failure.interrupted else figures.visible(failure.what)
        return StageState(name=name, state=became, elapsed_s=failure.elapsed_s, figure=figure, failure=failure)
    try:
        result = load(build, kind)
    except SettingsError:
        return StageState(name=name, state="not run")
    return StageState(name=name, state=verdict_of(result), elapsed_s=result.elapsed_s, figure=figure_of(result), result=result)


def verdict_of(result: Result) -> Literal["done", "refused"]:
    """Whether the result lets the delivery go on."""
    match result:
        case CheckDataResult():
            good = result.critical == 0
        case RegisterResult():
            good = result.decision.accept
        case SmokeResult() | LoadTestResult():
            good = result.passed
        case _:
            good = True
    return "done" if good else "refused"


def figure_of(result: Result) -> str:
    """The one figure of a result that matters."""
    match result:
        case FetchResult():
            return figures.counted(result.rows, "row") + (", generated" if result.generated_sample else "")
        case CheckDataResult():
            found = [figures.counted(n, word) for n, word in ((result.critical, "critical finding"), (result.warning, "warning")) if n]
            return " and ".join(found) or (figures.counted(result.info, "note") if result.info else "no findings")
        case TrainResult():
            main = result.metrics.get(result.metric)
            return f"{figures.named(result.metric)} {figures.decimal(main.value, 3)}" if main else figures.visible(result.algorithm)
        case RegisterResult():
            warned = f", {figures.counted(len(result.warnings), 'warning')}: look before you approve" if result.warnings else ""
            return f"version {figures.visible(result.version)} {'accepted' if result.decision.accept else 'not accepted'}{warned}"
        case DeployResult():
            return f"release {figures.visible(result.release.id)}"
        case SmokeResult():
            return f"{sum(a.passed for a in result.assertions)} of {len(result.assertions)} assertions hold"
        case LoadTestResult() if result.breaches:
            first = result.breaches[0]
            return f"{figures.visible(first.name)} {first.seen:.4g}, promised {first.limit:.4g}"
        case LoadTestResult():
            return f"p99 {figures.milliseconds(result.p99_ms)} at {figures.per_second(result.achieved_rps)}"
        case PromoteResult():
            return f"live at {figures.visible(result.url)}"
    return ""
