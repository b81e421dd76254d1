"""Supervisors as processes: start one detached, ask it over its control socket, end it, and never mistake another for it.

Of one project: start one for a release, wait until it answers, find those that nothing remembers.
"""

import contextlib
import hashlib
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from pushline.errors import ModelUnreadable, PushlineError, TargetError
from pushline.files import cannot_write
from pushline.guard import detached, last_lines
from pushline.project import Project
from pushline.results import Release
from pushline.serving.control import address_of, bind
from pushline.settings import Serving

SOCKET_PATH_LIMIT = 100  # the kernel takes 107 bytes
ANSWER_S = 3.0
DRAIN_S = 30.0
TERM_S = 5.0
KILL_S = 10.0
READY_S = 60.0  # a large model on a busy machine
PORTS_TRIED = 20
VARIABLE = "PUSHLINE_SERVING__"


class Process(Struct, frozen=True, kw_only=True):
    """A supervisor that was started, told apart from a later process with the same number."""

    pid: int
    started: str  # of this boot, as the kernel counts; empty where it had ended already
    control: str  # unix socket

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        if not self.started:
            return False
        with contextlib.suppress(ChildProcessError):  # not ours to wait for: another command started it
            os.waitpid(self.pid, os.WNOHANG)
        return started(self.pid) == self.started

    def ask(self, do: str, *, timeout_s: float | None = None) -> dict[str, Any] | None:
        """What it answers on its control socket: None where nobody is there, nothing where it says nothing in time."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S if timeout_s is None else timeout_s)
            try:
                connection.connect(self.control)
                connection.sendall(msgspec.json.encode({"do": do}) + b"\n")
                with connection.makefile("rb") as lines:
                    received = lines.readline()
            except TimeoutError:
                return {}
            except OSError:  # no such socket, or nobody listens on it any more
                return None
        try:
            return msgspec.json.decode(received, type=dict[str, Any])
        except msgspec.DecodeError:
            return None

    def end(self, *, do: Literal["stop", "retire"] = "stop", drain_s: float | None = None) -> bool:
        """Let it drain and end; by force where it does not. True where it ran.

        One that may share its socket with another retires: its clients are not hurried, for the other one answers them next.
        """
        ran = self.alive
        if ran:
            self.ask(do)
            if not self.gone(DRAIN_S if drain_s is None else drain_s):
                self.force()
        forget(self.control)
        return ran

    def retire(self) -> None:
        """Let one whose socket was taken over finish what it has; returns once it accepts nothing more.

        It ends by itself some seconds later, when its clients have closed their connections or were told to.
        """
        if not self.ask("retire", timeout_s=DRAIN_S) and self.alive:
            self.end()

    def force(self) -> None:
        """Signal its whole session, in which its workers are."""
        for number, patience in ((signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
            if self.alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)
            if self.gone(patience):
                return
        raise TargetError(f"Process {self.pid} does not end.", why=f"It was sent SIGKILL {KILL_S:g} s ago.", do="Look at it with `ps`.")

    def gone(self, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while self.alive:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


def control_folder(state: Path) -> Path:
    """Where control sockets lie: beside the state, or in a short private folder where that path is too long for a socket."""
    near = state / "run"
    if len(os.fsencode(near)) + 24 < SOCKET_PATH_LIMIT:
        return near
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pushline-{os.getuid()}-{name}"


def controls(state: Path) -> list[Path]:
    """The control sockets there are; none where another user has made the folder, for what they say could not be believed."""
    folder = control_folder(state)
    try:
        ours = folder.stat().st_uid == os.getuid()
    except OSError:
        return []
    return sorted(folder.glob("*.sock")) if ours else []


def new_control(state: Path) -> Path:
    """A name for a control socket, in a folder that only its owner enters."""
    folder = control_folder(state)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise TargetError(
                f"{folder} belongs to another user.", why="It holds the control sockets.", do="Remove it, then run this again."
            )
        folder.chmod(0o700)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder / f"{secrets.token_hex(6)}.sock"


def forget(control: str) -> None:
    """Remove a control socket that nobody answers on, and its folder with the last one."""
    Path(control).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(control).parent.rmdir()


def spawn(arguments: list[str], environment: Mapping[str, str], control: Path, errors: Path) -> Process:
    """Start `python -m pushline ARGUMENTS` with nothing of this terminal; what it says goes to `errors`."""
    try:
        errors.parent.mkdir(parents=True, exist_ok=True)
        output = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(errors, error) from error
    with os.fdopen(output, "wb") as said:
        pid = detached([sys.executable, "-m", "pushline", *arguments], said, env=environment)
    return Process(pid=pid, started=started(pid), control=str(control))


def started(pid: int) -> str:
    """When the process with this number started: boot and kernel ticks; empty where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


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
        control = new_control(self.project.state)
        log, errors = self.files(slot)
        served = ["--model", release.model, "--release", release.id, "--model-version", release.model_version]
        where = ["--host", self.settings.host, "--port", str(port)] if take_over is None else ["--take-over", take_over.control]
        files = ["--keys", str(self.keys), "--log", str(log), "--control", str(control)]
        tie = [] if tied_to is None else ["--tied-to", str(tied_to)]
        arguments = ["--project", str(self.project.root), "serve", *served, *where, *files, *tie]
        return spawn(arguments, environment_of(settings), control, errors)

    def wait_ready(self, started: Process, release: Release, slot: str) -> str:
        """The address of a supervisor as soon as it is ready.

        Raises TargetError, with the last it said, or ModelUnreadable where that was the model.
        """
        until = time.monotonic() + READY_S
        while True:
            runs, answer = started.alive, started.ask("status")
            if answer and answer.get("ready"):
                return self.url(int(answer["port"]))
            if not runs or time.monotonic() > until:
                raise not_ready(release, *self.files(slot), runs=runs)
            time.sleep(0.02)

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
        for control in controls(self.project.state):
            stray = Process(pid=0, started="", control=str(control))
            answer = stray.ask("status") if stray.control not in known else {}
            if answer:
                pid = int(answer["pid"])
                stray = Process(pid=pid, started=started(pid), control=stray.control)
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
