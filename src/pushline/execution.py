"""Running a stage: what stood there goes, and a result, or why there is none, is left.

First comes what must be right before a stage touches anything: its flags, the files of the repository, and what the stages before it
left. A command that is refused there leaves every earlier result as it was.
"""

import contextlib
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec

from pushline.delivery import STAGES, Delivery, refusal_of, verdict
from pushline.errors import PushlineError, SettingsError
from pushline.files import cannot_write, write_atomically, write_json
from pushline.results import (
    CheckDataResult,
    DeployResult,
    Failure,
    FetchResult,
    LoadTestResult,
    R,
    RegisterResult,
    Result,
    SmokeResult,
    TrainResult,
    folder,
    load,
    save,
)


def execute(delivery: Delivery, stage: str, **options: Any) -> Result:
    """Run one stage: its old result goes before it begins, so that a failure never leaves yesterday's evidence standing.

    What is refused before it begins leaves the old result. A gate that said no has left its result all the same: the evidence
    is what a person wants to see.
    """
    from pushline.report.summary import summary_of

    place = folder(delivery.build, stage)
    started = time.monotonic()
    try:
        check(delivery, stage, **options)
    except PushlineError as error:
        if not (place / "result.json").exists():
            leave_failure(place, stage, error, round(time.monotonic() - started, 3))
        raise
    forget(delivery.build, stage)
    try:
        result = STAGES[stage](delivery, **options)
    except BaseException as error:
        leave_failure(place, stage, error, round(time.monotonic() - started, 3))
        raise
    result = msgspec.structs.replace(result, elapsed_s=round(time.monotonic() - started, 3))
    save(delivery.build, result)
    write_atomically(place / "summary.md", summary_of(result).encode())
    verdict(result, delivery.build)
    return result


def forget(build: Path, stage: str) -> None:
    """Remove what an earlier attempt at `stage` left."""
    try:
        for name in ("result.json", "summary.md", "failure.json"):
            (folder(build, stage) / name).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(folder(build, stage), error) from error


def leave_failure(place: Path, stage: str, error: BaseException, elapsed_s: float) -> None:
    """Leave why a stage has no result; a disk that can't take even that must not hide the failure itself."""
    from pushline.report.summary import summary_of_failure

    told = error if isinstance(error, PushlineError) else None
    interrupted = isinstance(error, KeyboardInterrupt)
    failure = Failure(
        stage=stage,
        what=told.what if told else "Interrupted." if interrupted else f"{stage} stopped unexpectedly: {type(error).__name__}.",
        why=told.why if told else "" if interrupted else str(error),
        do=told.do if told else "Run the same command again." if interrupted else "",
        exit_code=told.exit_code if told else 130 if interrupted else 1,
        interrupted=interrupted,
        expected=bool(told) or interrupted,
        elapsed_s=elapsed_s,
    )
    with contextlib.suppress(PushlineError):
        write_json(place / "failure.json", failure)
        write_atomically(place / "summary.md", summary_of_failure(failure).encode())


def check(delivery: Delivery, stage: str, coming: Collection[str] = (), **options: Any) -> None:
    """Raises what is wrong. `coming`: the stages that the same command runs before this one."""

    def left_by(kind: type[R]) -> R | None:
        """What the stage of `kind` left; None where it has yet to run."""
        return None if kind.stage in coming else load(delivery.build, kind)

    CHECKS[stage](delivery, left_by, **options)


def fetch(delivery: Delivery, left_by: Any, **options: Any) -> None:
    from pushline.data.sources.lock import load_lock

    load_lock(delivery.project.data_lock)
    delivery.contract()


def check_data(delivery: Delivery, left_by: Any, *, file: Path | None = None, **options: Any) -> None:
    from pushline.data.rules import load_rules

    load_rules(delivery.project.rules, delivery.contract())
    if file is None:
        left_by(FetchResult)


def train(
    delivery: Delivery, left_by: Any, *, budget: str | None = None, keep_best: bool = False, attach: bool = False, **options: Any
) -> None:
    from pushline.training.stage import refuse_unusable, refuse_wrong_names

    if keep_best and delivery.settings.on_azure:
        raise SettingsError(
            "A search in Azure can't be ended with the best model so far.",
            why="It runs there on its own; an interruption here only stops following it.",
            do="Leave --keep-best out, and give it a smaller --budget; `pushline train --cancel` ends it without a model.",
        )
    if attach and not delivery.settings.on_azure:
        raise SettingsError(
            "There is nothing to attach to.", why="Training runs in this process on the local target.", do="Leave --attach out."
        )
    refuse_unusable(delivery.project, delivery.settings, budget)
    refuse_wrong_names(delivery.project, delivery.settings, delivery.contract())
    checked = left_by(CheckDataResult)
    if checked is not None and checked.critical:
        raise refusal_of(checked, delivery.build)


def deploy(delivery: Delivery, left_by: Any, *, version: str | None = None, **options: Any) -> None:
    from pushline.release.stages import accepted

    registered = None if version else left_by(RegisterResult)
    if registered is not None or version:
        accepted(registered, version, delivery.store())


def promote(delivery: Delivery, left_by: Any, **options: Any) -> None:
    from pushline.release.stages import check_evidence

    deployed, smoked, tested = left_by(DeployResult), left_by(SmokeResult), left_by(LoadTestResult)
    if deployed and smoked and tested:
        check_evidence(deployed, smoked, tested)


CHECKS: dict[str, Callable[..., None]] = {
    "fetch": fetch,
    "check-data": check_data,
    "train": train,
    "register": lambda delivery, left_by, **options: left_by(TrainResult),
    "deploy": deploy,
    "smoke": lambda delivery, left_by, **options: left_by(DeployResult),
    "load-test": lambda delivery, left_by, **options: left_by(DeployResult),
    "promote": promote,
}
