"""The process of one run: it says what it does, runs the pipeline as the published version has it, and says how it ended."""

import os
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
        self.say()

    def say(self, **changes: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
        write_json(self.folder / STATE, self.state)

    def step(self, name: str) -> None:
        """What it is doing now."""
        self.progress(f"{datetime.now(UTC):%H:%M:%S} {name}")
        self.say(step=name)

    def done(self, outputs: Mapping[str, Path], result: Mapping[str, Scalar]) -> None:
        places = {name: str(path) for name, path in outputs.items()}
        self.say(state="succeeded", step="", ended_at=datetime.now(UTC), outputs=places, result=dict(result))

    def ended_badly(self, error: BaseException) -> None:
        cancelled = isinstance(error, KeyboardInterrupt) and (self.folder / CANCEL).exists()
        if isinstance(error, PushlineError):
            told = RunError(what=error.what, why=error.why, do=error.do)
        elif isinstance(error, KeyboardInterrupt):
            told = RunError(what="The run was told to end.", do="Start it again.")
        else:
            self.progress("".join(traceback.format_exception(error)))
            what = f"The run stopped unexpectedly: {type(error).__name__}."
            told = RunError(what=what, why=str(error), do="Its log has the traceback.")
        self.progress(f"{told.what}\n{told.why}\n{told.do}".rstrip())
        state = "cancelled" if cancelled else "failed"
        self.say(state=state, ended_at=datetime.now(UTC), error=None if cancelled else told)


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
