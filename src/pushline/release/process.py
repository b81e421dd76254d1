"""Supervisors as processes: start one detached, ask it over its control socket, end it, and never mistake another for it."""

import contextlib
import hashlib
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from pushline.errors import TargetError
from pushline.files import cannot_write
from pushline.release.state import Process

SOCKET_PATH_LIMIT = 100  # the kernel takes 107 bytes
ANSWER_S = 3.0
DRAIN_S = 30.0
TERM_S = 5.0
KILL_S = 10.0


class Silent(Exception):
    """The control socket took the question and gave no answer in time."""


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


def forget(control: Path) -> None:
    """Remove a control socket that nobody answers on, and its folder with the last one."""
    control.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        control.parent.rmdir()


def inherited() -> list[int]:
    """Descriptors beside stdio that whoever started us left open, such as a lock: a release that stays up would keep them."""
    found = []
    for number in (int(place.name) for place in Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            if number > 2 and os.get_inheritable(number):
                found.append(number)
    return found


def spawn(arguments: list[str], environment: Mapping[str, str], control: Path, errors: Path) -> Process:
    """Start `python -m pushline ARGUMENTS` in its own session, with nothing of this terminal; what it says goes to `errors`."""
    try:
        errors.parent.mkdir(parents=True, exist_ok=True)
        output = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(errors, error) from error
    try:
        # posix_spawn: a child nobody waits for is meant here, and no lock of this process (other threads') is carried over.
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "pushline", *arguments],
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
                *((os.POSIX_SPAWN_CLOSE, number) for number in inherited()),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP],
        )
    finally:
        os.close(output)
    return Process(pid=pid, started=started(pid), control=str(control))


def started(pid: int) -> str:
    """When the process with this number started: boot and kernel ticks; empty where there is none (or no /proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def alive(process: Process) -> bool:
    """Whether this very process still runs."""
    with contextlib.suppress(ChildProcessError):  # not ours to wait for: another command started it
        os.waitpid(process.pid, os.WNOHANG)
    if process.started:
        return started(process.pid) == process.started
    return answers(process)


def answers(process: Process) -> bool:
    try:
        return ask(process.control, {"do": "status"}) is not None
    except Silent:
        return True


def ask(control: str, question: dict[str, Any], *, timeout_s: float | None = None) -> dict[str, Any] | None:
    """What the supervisor behind a control socket answers; None where nobody is there. Raises Silent after `timeout_s`."""
    timeout_s = ANSWER_S if timeout_s is None else timeout_s
    until = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(control)
            connection.sendall(msgspec.json.encode(question) + b"\n")
            received = b""
            while b"\n" not in received:
                connection.settimeout(max(0.001, until - time.monotonic()))
                part = connection.recv(65536)
                if not part:
                    break
                received += part
        except TimeoutError as error:
            raise Silent from error
        except OSError:  # no such socket, or nobody listens on it any more
            return None
    try:
        answer = msgspec.json.decode(received)
    except msgspec.DecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def end(process: Process, *, do: Literal["stop", "retire"] = "stop", drain_s: float | None = None) -> bool:
    """Let the supervisor drain and end; by force where it does not. True where it ran.

    One that may share its socket with another retires: its clients are not hurried, for the other one answers them next.
    """
    if not alive(process):
        forget(Path(process.control))
        return False
    with contextlib.suppress(Silent):
        ask(process.control, {"do": do})
    if not gone(process, DRAIN_S if drain_s is None else drain_s):
        force(process)
    forget(Path(process.control))
    return True


def retire(process: Process) -> None:
    """Let a supervisor whose socket was taken over finish what it has; returns once it accepts nothing more.

    It ends by itself some seconds later, when its clients have closed their connections or were told to.
    """
    try:
        answer = ask(process.control, {"do": "retire"}, timeout_s=DRAIN_S)
    except Silent:
        answer = None
    if answer is None and alive(process):
        end(process)


def force(process: Process) -> None:
    for number, patience in ((signal.SIGTERM, TERM_S), (signal.SIGKILL, KILL_S)):
        kill_group(process, number)
        if gone(process, patience):
            return
    raise TargetError(f"Process {process.pid} does not end.", why=f"It was sent SIGKILL {KILL_S:g} s ago.", do="Look at it with `ps`.")


def kill_group(process: Process, number: int) -> None:
    """Signal the whole session of a supervisor that is known to be alive; its workers are in it."""
    if process.started and alive(process):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def gone(process: Process, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while alive(process):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
