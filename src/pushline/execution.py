"""Running a stage: what stood there goes, and a result, or why there is none, is left."""

import contextlib
import time
from pathlib import Path
from typing import Any

import msgspec

from pushline.delivery import STAGES, Delivery, verdict
from pushline.errors import PushlineError
from pushline.files import cannot_write, write_atomically, write_json
from pushline.preconditions import check
from pushline.results import Failure, Result, folder, save


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
