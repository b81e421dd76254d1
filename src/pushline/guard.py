"""Commands that end with who started them (`guarded`), and those that go on without (`detached`).

`guarded` runs `python -I -S guard.py COMMAND …`, so that nothing of the command outlives the one who asked.
Standard input is the lifeline: it closes when the asker ends in whatever way, SIGKILL included. Then, and on SIGTERM, the
command's whole group is asked to end and killed after a moment. Whatever the command leaves running when it ends itself is
killed too, also what has detached: this process is the reaper of all of it. Uses nothing but the standard library, so that
it starts in a few hundredths of a second.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 3.0


@contextmanager
def guarded(command: list[str], **how: Any) -> "Iterator[subprocess.Popen[bytes]]":
    """A command under a guard, `how` as Popen takes it; behind the block nothing of it runs any more."""
    guard = [sys.executable, "-I", "-S", __file__, *command]
    with subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True, **how) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(3 * GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()


STARTED: "list[subprocess.Popen[bytes]]" = []


def detached(command: list[str], output: Any, *, env: Any, cwd: Path | None = None, pass_fds: tuple[int, ...] = ()) -> int:
    """Start a command that goes on whatever becomes of this process, with nothing of it but `pass_fds`; its number."""
    collect()
    where: dict[str, Any] = {"env": env, "cwd": cwd, "pass_fds": pass_fds, "start_new_session": True}
    STARTED.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **where))
    return STARTED[-1].pid


def collect() -> None:
    """Let go of those that have ended, so that none stays as a zombie."""
    STARTED[:] = [process for process in STARTED if process.poll() is None]


def last_lines(file: Path, count: int) -> list[str]:
    """What a command said last in a file; nothing where that can't be read."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4096))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines if line.strip()][-count:]


def prctl(option: int, value: int) -> None:
    """Ask the kernel; where it does not know the option, the lifeline alone has to do."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(option, value, 0, 0, 0)


def start(command: list[str]) -> "subprocess.Popen[bytes]":
    libc = ctypes.CDLL(None, use_errno=True)

    def die_with_guard() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    # This process has one thread, so running code between fork and exec is safe.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_guard)  # noqa: PLW1509 - see above


def ended_by_asker(process: "subprocess.Popen[bytes]", wake: int) -> bool:
    """Wait for the command's end (False), or for the asker's end or SIGTERM (True)."""
    finished = os.pidfd_open(process.pid)
    try:
        ready, _, _ = select.select([finished, sys.stdin.fileno(), wake], [], [])
    finally:
        os.close(finished)
    return process.poll() is None and bool(ready)


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Ask the command's group to end; kill it after a moment."""
    signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def kill_orphans() -> None:
    """Kill what is still below this process, until nothing is."""
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        if not children:
            return
        for child in children:
            try:
                os.kill(int(child), signal.SIGKILL)
                os.waitpid(int(child), 0)
            except (ProcessLookupError, ChildProcessError):
                continue


def main() -> int:
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake, ring = os.pipe()
    os.set_blocking(ring, False)

    def asked(number: int, frame: FrameType | None) -> None:
        os.write(ring, b"!")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, asked)
    try:
        process = start(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"{sys.argv[1]} can't be started: {error.strerror}\n")
        return 127
    if ended_by_asker(process, wake):
        kill_group(process)
    signal_group(process.pid, signal.SIGKILL)
    kill_orphans()
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main())
