"""The process of one run: it says what it does, runs the pipeline as the published version has it, and says how it ended."""

import os
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pushline.errors import PushlineError
from pushline.files import write_json
from pushline.pipelines.service.published import decode
from pushline.pipelines.service.runs import CANCEL, REQUEST, STATE, RunError, RunReport, RunRequest
from pushline.progress import Progress
from pushline.project import Project
from pushline.results import Scalar


class Work:
    """A run from the inside."""

    def __init__(self, folder: Path, project: Project, progress: Progress) -> None:
        self.folder = folder
        self.project = project
        self.request = decode(folder / REQUEST, RunRequest)
        self.state = RunReport(state="running", pid=os.getpid())
        self.progress = progress
        self.say(self.state)

    def say(self, state: RunReport) -> None:
        self.state = state
        write_json(self.folder / STATE, state)

    def step(self, name: str) -> None:
        """What it is doing now."""
        self.progress(f"{datetime.now(UTC):%H:%M:%S} {name}")
        self.say(msgspec.structs.replace(self.state, step=name))

    def done(self, outputs: Mapping[str, Path], result: Mapping[str, Scalar]) -> None:
        self.say(
            msgspec.structs.replace(
                self.state,
                state="succeeded",
                step="",
                ended_at=datetime.now(UTC),
                outputs={name: str(path) for name, path in outputs.items()},
                result=dict(result),
            )
        )

    def ended_badly(self, error: BaseException) -> None:
        cancelled = isinstance(error, KeyboardInterrupt) and (self.folder / CANCEL).exists()
        told = self.error_of(error)
        self.progress(f"{told.what}\n{told.why}\n{told.do}".rstrip())
        self.say(
            msgspec.structs.replace(
                self.state,
                state="cancelled" if cancelled else "failed",
                ended_at=datetime.now(UTC),
                error=None if cancelled else told,
            )
        )

    def error_of(self, error: BaseException) -> RunError:
        if isinstance(error, PushlineError):
            return RunError(what=error.what, why=error.why, do=error.do)
        if isinstance(error, KeyboardInterrupt):
            return RunError(what="The run was told to end.", do="Start it again.")
        self.progress("".join(traceback.format_exception(error)))
        return RunError(what=f"The run stopped unexpectedly: {type(error).__name__}.", why=str(error), do="Its log has the traceback.")


def work(folder: Path, project: Project, run: "Callable[[Work], None]", progress: Progress) -> bool:
    """Do one run; True where it ended well. Its state says so in any case but a kill."""
    inside = Work(folder, project, progress)
    try:
        if (folder / CANCEL).exists():
            raise KeyboardInterrupt
        run(inside)
    except BaseException as error:  # noqa: BLE001 - however it ends, its state says how
        inside.ended_badly(error)
        return False
    return True
