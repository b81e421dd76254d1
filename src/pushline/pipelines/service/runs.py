"""Runs of published pipelines: each a folder and a detached process, found again by whoever looks.

Below `.pushline/pipelines/runs/<id>/` a run holds `request.json` (never changed), `state.json`, `log.txt` and `project/`:
its version's files by links, its own `build/`, and the registry and caches of the real project. The process holds a lock on
`alive` for as long as it lives, from before it was started: a run whose lock is free has ended, and one that did not say how
is reported as lost. A caller may give a run values of the declared types, and files of the project or its data alone.
"""

import os
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field, structs

from pushline.engine import code_in
from pushline.errors import PushlineError, SettingsError, TargetError
from pushline.files import cannot_write, write_json
from pushline.guard import detached
from pushline.locks import holder_of, locked
from pushline.pipelines.runner.binding import text_of
from pushline.pipelines.service.published import PublishedPipelines, Version, decode
from pushline.progress import Progress
from pushline.project import REVISION, Project
from pushline.results import Scalar
from pushline.settings import seconds

RUNS = "pipelines/runs"  # below .pushline
REQUEST, STATE, LOG, ALIVE, CANCEL = "request.json", "state.json", "log.txt", "alive", "cancel"
PROJECT = "project"
WAIT_S = 60.0
LOG_AT_A_TIME = 262_144  # bytes
ENDED = frozenset({"succeeded", "failed", "cancelled", "lost"})

RunState = Literal["starting", "running", "succeeded", "failed", "cancelled", "lost"]


class RunRequest(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    id: str
    pipeline: str
    version: int
    inputs: dict[str, Scalar]  # what the caller set; the version has the rest
    at: datetime


class RunError(Struct, frozen=True, kw_only=True):
    """Why a run failed, in the three lines of every error."""

    what: str
    why: str = ""
    do: str = ""


class RunReport(Struct, frozen=True, kw_only=True):
    """What the run's process says of itself."""

    state: RunState
    step: str = ""  # what it is doing
    pid: int = 0
    ended_at: datetime | None = None
    outputs: dict[str, str] = field(default_factory=dict)  # paths on this machine
    result: dict[str, Scalar] = field(default_factory=dict)  # of a training: model version and decision
    error: RunError | None = None


class Run(Struct, frozen=True, kw_only=True):
    """A run as callers see it."""

    id: str
    pipeline: str
    version: int
    inputs: dict[str, Scalar]
    started_at: datetime
    state: RunState
    cancelling: bool = False
    step: str = ""
    ended_at: datetime | None = None
    outputs: dict[str, str] = field(default_factory=dict)
    result: dict[str, Scalar] = field(default_factory=dict)
    error: RunError | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class LogPart(Struct, frozen=True, kw_only=True):
    """A piece of a run's log."""

    text: str
    next: int  # where the following piece begins
    ended: bool  # nothing will follow `next`


class TooMany(TargetError):
    """As many runs go on as the settings allow."""


class Runs:
    """All runs of one project."""

    def __init__(self, project: Project, folder: str = "") -> None:
        """`folder`: one beside the project whose files callers may name, too."""
        self.project = project
        self.place = project.state.resolve() / RUNS
        self.folders = FolderRule.of(project, self.place, folder)

    def start(self, version: Version, inputs: Mapping[str, Any], *, at_once: int) -> Run:
        """Start a run in a process of its own, which goes on whatever becomes of this one.

        Raises SettingsError for a retired version or a wrong input, TooMany where `at_once` runs go on already.
        """
        if version.status == "retired":
            raise SettingsError(
                f"Version {version.version} of {version.name} is retired.",
                do=f"Start another: `pushline pipelines describe {version.name}`.",
            )
        given = checked_inputs(version, inputs, self.folders)
        files = PublishedPipelines(self.project).files(version)
        try:
            with locked(self.place / ".lock", wait_s=WAIT_S):
                if sum(not run.ended for run in self.all()) >= at_once:
                    raise TooMany(
                        f"{at_once} runs are going on.",
                        why="[tool.pushline.pipelines] allows no more at once.",
                        do="Wait for one to end, or cancel one.",
                    )
                request = RunRequest(id=new_id(), pipeline=version.name, version=version.version, inputs=given, at=datetime.now(UTC))
                folder = self.place / request.id
                lay_out(folder, files, version, self.project)
                write_json(folder / STATE, RunReport(state="starting"))
                write_json(folder / REQUEST, request)
                launch(folder, files)
        except OSError as error:
            raise cannot_write(self.place, error) from error
        return self.run(request.id)

    def all(self) -> tuple[Run, ...]:
        """Every run, newest first."""
        if not self.place.is_dir():
            return ()
        folders = sorted((path for path in self.place.iterdir() if (path / REQUEST).is_file()), key=lambda path: path.name, reverse=True)
        return tuple(seen(folder) for folder in folders)

    def run(self, run: str) -> Run:
        """The state of one run. Raises SettingsError where there is none of that id."""
        return seen(self._folder(run))

    def cancel(self, run: str) -> Run:
        """Ask a run to end; one that has ended stays as it is."""
        folder = self._folder(run)
        if not seen(folder).ended:
            (folder / CANCEL).touch()
            state = decode(folder / STATE, RunReport)
            # The number is of our process as long as the lock is held: a free lock has made it ended above.
            if state.pid:
                with suppress(ProcessLookupError):
                    os.kill(state.pid, signal.SIGTERM)
        return seen(folder)

    def log(self, run: str, start: int = 0) -> LogPart:
        """A piece of the log from the byte `start` on, ending with a whole line where it can."""
        folder = self._folder(run)
        ended = seen(folder).ended  # before the text is read, so that nothing is missed
        with (folder / LOG).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(min(max(start, 0), size))
            text = stream.read(LOG_AT_A_TIME)
        cut = text.rfind(b"\n") + 1
        if not ended or (cut and len(text) == LOG_AT_A_TIME):
            text = text[:cut] if cut or len(text) < LOG_AT_A_TIME else text
        end = min(max(start, 0), size) + len(text)
        return LogPart(text=text.decode(errors="replace"), next=end, ended=ended and end >= size)

    def _folder(self, run: str) -> Path:
        folder = self.place / run
        if not run.replace("-", "").isalnum() or not (folder / REQUEST).is_file():
            raise SettingsError(f"There is no run {run!r}.", do="`pushline pipelines runs` lists them.")
        return folder


def new_id() -> str:
    """Sorts by time, and is never the same twice."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{time.time_ns() % 1_000_000_000 // 1000:06d}-{secrets.token_hex(3)}"


def lay_out(folder: Path, files: Path, version: Version, project: Project) -> None:
    """The run's folder, with a project of its own in it."""
    inner = folder / PROJECT
    inner.mkdir(parents=True)
    for entry in files.iterdir():
        (inner / entry.name).symlink_to(entry)
    (inner / ".pushline").symlink_to(project.state.resolve())
    (inner / REVISION).write_text(version.git_revision + "\n", encoding="utf-8")
    (folder / ALIVE).touch()
    (folder / LOG).touch()


def launch(folder: Path, files: Path) -> None:
    """Start the run's process: its own session, the published code, nothing of this process but the lock that says it lives."""
    variables = {**os.environ, "PYTHONPATH": str(code_in(files)), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    for name in ("PYTHONSAFEPATH", "PUSHLINE_KEY", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        variables.pop(name, None)
    with locked(folder / ALIVE, f"run {folder.name}") as alive, (folder / LOG).open("ab") as log:
        command = [sys.executable, "-m", "pushline", "--project", str(folder / PROJECT), "pipelines", "work", str(folder), str(alive)]
        detached(command, log, env=variables, cwd=folder / PROJECT, pass_fds=(alive,))


def seen(folder: Path) -> Run:
    """The run as it is; one whose process is gone without a word is lost."""
    request = decode(folder / REQUEST, RunRequest)
    state = decode(folder / STATE, RunReport)
    if state.state not in ENDED and not holder_of(folder / ALIVE):
        state = decode(folder / STATE, RunReport)  # it may have said so just before it ended
        if state.state not in ENDED:
            heard_of = datetime.fromtimestamp((folder / LOG).stat().st_mtime, UTC)
            state = msgspec.structs.replace(state, state="lost", ended_at=heard_of, error=lost())
    known = {**structs.asdict(request), **structs.asdict(state), "started_at": request.at}
    known["cancelling"] = (folder / CANCEL).exists() and state.state not in ENDED
    return Run(**{name: known[name] for name in Run.__struct_fields__})


def lost() -> RunError:
    return RunError(
        what="The run's process is gone, and did not say how it ended.",
        why="It was killed, or the machine was restarted. Its steps ended with it.",
        do="Its log shows how far it came. Start it again.",
    )


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller asks for: values by the names that the version describes, and a version instead of the default one."""

    inputs: dict[str, str | int | float | bool] = field(default_factory=dict)
    version: Annotated[int, Meta(ge=1)] | None = None


class FolderRule(Struct, frozen=True):
    """Whose key starts runs may not read the whole machine by them: not the keys, nor anybody's home."""

    within: tuple[Path, ...]
    without: tuple[Path, ...]
    outputs: Path  # of runs; they lie in a folder that is left out

    @classmethod
    def of(cls, project: Project, outputs: Path, folder: str) -> "FolderRule":
        data = [Path(place).resolve() for place in (os.environ.get("PUSHLINE_DATA"), folder) if place]
        return cls((project.root, *data), (project.state.resolve(), project.root / ".git"), outputs)

    def allow(self, path: Path) -> bool:
        """Whether the path exists and, its links followed, lies where a caller may read."""
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        if real.is_relative_to(self.outputs):
            return True
        return any(real.is_relative_to(place) for place in self.within) and not any(real.is_relative_to(place) for place in self.without)

    def __str__(self) -> str:
        return f"in {' or '.join(str(place) for place in self.within)}"


def checked_inputs(version: Version, inputs: Mapping[str, Any], folders: FolderRule) -> dict[str, Scalar]:
    """What the caller set, each of its type. Raises SettingsError naming the input and what it accepts."""
    known = {one.name: one for one in version.inputs}
    for name in inputs:
        if name not in known:
            raise SettingsError(
                f"{version.name} has no input {name!r}.", why=f"Its inputs are {', '.join(known) or 'none'}.", do="Name one of them."
            )
    given: dict[str, Scalar] = {}
    for name, one in known.items():
        if name not in inputs:
            if one.required:
                raise SettingsError(f"The input {name} is missing.", why=one.description, do=f"Set {name}.")
            continue
        value, spec = inputs[name], one.spec()
        if not isinstance(value, str | int | float | bool):
            raise SettingsError(f"The input {name} is wrong.", why="It is no single value.", do="Give a text, a number, true or false.")
        if spec.is_path:
            if not isinstance(value, str) or "\0" in value or not Path(value).is_absolute() or not folders.allow(Path(value)):
                raise SettingsError(
                    f"The input {name} is wrong.",
                    why=f"{value!r} is no existing absolute path that a caller may name.",
                    do=f"Name a file {folders}.",
                )
            given[name] = value
        else:
            text_of(spec, value, name)
            given[name] = value
            if name == "budget":
                seconds(str(value))
    return given


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
