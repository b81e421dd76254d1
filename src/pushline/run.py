"""`pushline run`: all stages in one process, with one way to end badly that leaves nothing half-done behind."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol

from pushline.delivery import STAGES, Delivery, after
from pushline.errors import NotAccepted, PushlineError
from pushline.execution import check, execute, forget
from pushline.report.cautions import cautions_of
from pushline.report.page import write_report
from pushline.report.states import StageOutcome, StateName, figure_of, outcomes, states_of, verdict_of
from pushline.results import Part, PromoteResult, RegisterResult, failure_of, folder

# From here on a candidate may be up.
RELEASING = ("deploy", "smoke", "load-test", "promote")


class RunResult(Part, frozen=True, kw_only=True):
    """A whole run: what `pushline run --json` prints."""

    promoted: bool
    generated_sample: bool
    stages: tuple[StageOutcome, ...]
    release: str | None = None
    url: str | None = None
    cautions: tuple[str, ...] = ()  # what no gate refuses and a person should look at
    report: str | None = None


class Display(Protocol):
    """Whoever shows a run while it goes on."""

    def begin(self, stage: str) -> None: ...
    def progress(self, line: str) -> None: ...
    def end(self, stage: str, state: StateName, elapsed_s: float, figure: str) -> None: ...
    def banner(self, text: str) -> None: ...


def run(delivery: Delivery, display: Display, *, first: str = "fetch", **options: dict[str, Any]) -> None:
    """Walk the stages from `first` to promote; `options` are those of a stage, by its name.

    Raises what the failing stage raised, or NotAccepted where the new version is not better. By then the candidate is
    discarded, the live release untouched and the report written.
    """
    names = list(STAGES)[list(STAGES).index(first) :]
    for name in names:  # what an earlier run left must not stand as this one's evidence
        forget(delivery.build, name)
    try:
        for name in names:
            walk(delivery, display, name, options.get(name, {}))
    except BaseException:
        with undisturbed():
            tidy(delivery, display)
            with contextlib.suppress(PushlineError):  # the stage's own failure is the one to tell
                write_report(delivery.project)
        raise
    write_report(delivery.project)


def refuse(delivery: Delivery, *, first: str = "fetch", **options: dict[str, Any]) -> None:
    """Raises what is wrong with the flags, settings and files of a run, before it touches anything."""
    after(first)  # refuses what is not a stage
    names = list(STAGES)[list(STAGES).index(first) :]
    for number, name in enumerate(names):
        check(delivery, name, coming=names[:number], **options.get(name, {}))


def walk(delivery: Delivery, display: Display, name: str, options: dict[str, Any]) -> None:
    """One stage, shown from its start to its end."""
    started = time.monotonic()
    display.begin(name)
    try:
        result = execute(delivery, name, **options)
    except BaseException:
        became = next(state for state in states_of(delivery.build) if state.name == name)
        display.end(name, "failed" if became.state == "not run" else became.state, time.monotonic() - started, became.figure)
        raise
    display.end(name, verdict_of(result), result.elapsed_s, figure_of(result))
    if name == "fetch" and getattr(result, "generated_sample", False):
        display.banner("Generated sample: the data could not be had, so this run works on rows drawn from the profile.")
    if isinstance(result, RegisterResult) and not result.decision.accept:
        raise NotAccepted(
            f"Nothing was deployed: {result.model_name} version {result.version} is not accepted for release.",
            why=f"{result.decision.reason.rstrip('.')}.",
            do="The live release is untouched. build/report.html shows the comparison; better data or features may change it.",
        )


def tidy(delivery: Delivery, display: Display) -> None:
    """Discard the candidate of a run that ended before its promotion."""
    reached = [name for name in RELEASING if failure_of(delivery.build, name) or (folder(delivery.build, name) / "result.json").exists()]
    if not reached:
        return
    try:
        if delivery.target().discard(display.progress):
            display.progress("The candidate was discarded; the live release is untouched.")
    except PushlineError as error:
        display.progress(f"The candidate could not be discarded: {error.what} Run `pushline discard`.")


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Tidying up is short, and a second Ctrl-C does not cut it off."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def outcome(delivery: Delivery) -> RunResult:
    """What the run left, whether it ended well or not."""
    states = states_of(delivery.build)
    last = states[-1].result
    live = last if isinstance(last, PromoteResult) and states[-1].state == "done" else None
    page = delivery.build / "report.html"
    return RunResult(
        promoted=live is not None,
        generated_sample=any(getattr(state.result, "generated_sample", False) for state in states),
        stages=outcomes(states),
        release=live.release.id if live else None,
        url=live.url if live else None,
        cautions=tuple(f"{one.what} {one.do}" for one in cautions_of(states, delivery.build)),
        report=str(page) if page.exists() else None,
    )
