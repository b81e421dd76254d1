"""The supervisors of one project: start one for a release, wait until it answers, find those that nothing remembers."""

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import msgspec

from pushline.errors import ModelUnreadable, PushlineError, TargetError
from pushline.guard import last_lines
from pushline.project import Project
from pushline.release import process
from pushline.release.process import Process
from pushline.results import Release
from pushline.serving.control import address_of, bind
from pushline.settings import Serving

READY_S = 60.0  # a large model on a busy machine
PORTS_TRIED = 20
VARIABLE = "PUSHLINE_SERVING__"


class Supervisors:
    """`pushline serve`, detached, with the project's settings, keys and logs."""

    def __init__(self, project: Project, settings: Serving, keys: Path) -> None:
        self.project = project
        self.settings = settings
        self.keys = keys

    def files(self, slot: str) -> tuple[Path, Path]:
        """Of a slot: its log, and what its newest supervisor said besides."""
        folder = self.project.state / "logs"
        return folder / f"{slot}.jsonl", folder / f"{slot}.err"

    def spawn(
        self, release: Release, slot: str, settings: Serving, *, port: int = 0, take_over: Process | None = None, tied_to: int | None = None
    ) -> Process:
        """Start a supervisor that serves `release` on the listening socket of `take_over`, or on `port`."""
        control = process.new_control(self.project.state)
        log, errors = self.files(slot)
        served = ["--model", release.model, "--release", release.id, "--model-version", release.model_version]
        where = ["--host", self.settings.host, "--port", str(port)] if take_over is None else ["--take-over", take_over.control]
        files = ["--keys", str(self.keys), "--log", str(log), "--control", str(control)]
        tie = [] if tied_to is None else ["--tied-to", str(tied_to)]
        arguments = ["--project", str(self.project.root), "serve", *served, *where, *files, *tie]
        return process.spawn(arguments, environment_of(settings), control, errors)

    def wait_ready(self, started: Process, release: Release, slot: str) -> str:
        """The address of a supervisor as soon as it is ready.

        Raises TargetError, with the last it said, or ModelUnreadable where that was the model.
        """
        until = monotonic() + READY_S
        while True:
            runs, answer = started.alive, started.ask("status")
            if answer and answer.get("ready"):
                return self.url(int(answer["port"]))
            if not runs or monotonic() > until:
                raise not_ready(release, *self.files(slot), runs=runs)
            sleep(0.02)

    def url(self, port: int) -> str:
        host = self.settings.host
        # What to connect to where all addresses are bound.
        return address_of("127.0.0.1" if host in ("0.0.0.0", "") else host, port)  # noqa: S104

    def free_port(self, progress: Callable[[str], None]) -> int:
        """The port of the settings, or the next free one, said."""
        wanted = self.settings.port
        for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
            if port == 0 or can_bind(self.settings.host, port):
                if port != wanted:
                    progress(f"Port {wanted} is taken by another program; the live release answers on port {port} instead.")
                return port
        raise TargetError(
            f"No free port for the live release from {wanted} to {wanted + PORTS_TRIED - 1}.",
            why="Other programs listen on all of them.",
            do="Stop one of them, or set another `port` in [tool.pushline.serving] of pyproject.toml.",
        )

    def strays(self, known: set[str]) -> list[Process]:
        """What answers on control sockets that are not `known`, without a number where nothing does: a command was killed before it
        could end or record it. One that retires ends by itself, and one that does not answer in time may be about to."""
        found = []
        for control in process.controls(self.project.state):
            stray = Process(pid=0, started="", control=str(control))
            answer = stray.ask("status") if stray.control not in known else {}
            if answer:
                pid = int(answer["pid"])
                stray = Process(pid=pid, started=process.started(pid), control=stray.control)
            if answer != {} and not (answer and answer.get("stopping")):
                found.append(stray)
        return found

    def sweep(self, known: set[str]) -> bool:
        """End the supervisors that nothing remembers. True where one ran."""
        ended = [stray.end(do="retire") for stray in self.strays(known)]
        return any(ended)


def environment_of(settings: Serving) -> dict[str, str]:
    """This process's environment, its settings of the service replaced by these."""
    # A GitHub runner ends what carries its mark when a job is over; a release outlives the job where its runner does.
    others = {name: value for name, value in os.environ.items() if not name.startswith(VARIABLE) and name != "RUNNER_TRACKING_ID"}
    said = {VARIABLE + name.upper(): value for name, value in msgspec.structs.asdict(settings).items() if value is not None}
    return others | {name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in said.items()}


def can_bind(host: str, port: int) -> bool:
    try:
        bind(host, port).close()
    except TargetError:
        return False
    return True


def not_ready(release: Release, log: Path, errors: Path, *, runs: bool) -> PushlineError:
    said = " | ".join([*last_lines(errors, 3), *last_lines(log, 3)][-4:])
    kind = ModelUnreadable if "model folder" in said else TargetError
    return kind(
        f"The release {release.id} was not ready within {READY_S:g} s." if runs else f"The release {release.id} ended as it started.",
        why=f"It said: {said}" if said else "It said nothing.",
        do=f"{errors} and {log} hold the rest.",
    )
