"""A process of the service that its supervisor forks: a worker, or the one that sends telemetry."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from pushline.serving.running import Place, Running

Life = Callable[[Running, Place], int]


class Child:
    """One process, as the supervisor sees it."""

    def __init__(self, pid: int, lifeline: socket.socket, slot: int) -> None:
        self.pid = pid
        self.lifeline = lifeline
        self.slot = slot
        self.started = time.monotonic()
        self.left = False  # it drains
        self.ready = False
        self.accepts = True
        self.ended = False
        self.fault = ""
        self.said = b""

    def kill(self) -> None:
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)

    def words_in(self, part: bytes) -> Iterator[tuple[str, str]]:
        """The whole lines it has said, each as its first word and the rest."""
        *lines, self.said = (self.said + part).split(b"\n")
        for line in lines:
            word, _, rest = line.decode("utf-8", "replace").partition(" ")
            yield word, rest


def become(life: Life, running: Running, place: Place, stderr: int) -> NoReturn:
    """The life of a process, from the fork to its end."""
    code = 4
    try:
        signal.set_wakeup_fd(-1)  # before anything else: a signal of this process would reach the supervisor
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
        os.dup2(stderr, 2)
        kept = {0, 1, 2, place.listener.fileno(), place.lifeline.fileno(), *(end.fileno() for end in place.notes or ())}
        for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            if descriptor not in kept:
                with contextlib.suppress(OSError):  # the listing's own
                    os.close(descriptor)
        code = life(running, place)
    except BaseException as error:  # noqa: BLE001 - whatever it was, the supervisor and the log hear of it
        import traceback

        traceback.print_exc()
        with contextlib.suppress(OSError):
            place.lifeline.sendall(f"failed: {type(error).__name__}: {' '.join(str(error).split())}\n".encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def work(running: Running, place: Place) -> int:
    """Answer requests. What that needs is loaded here, never in the supervisor."""
    from pushline.serving.worker import work as answer

    return answer(running, place)


def send(running: Running, place: Place) -> int:
    """Send to Application Insights."""
    place.listener.close()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the last of the workers' notes come when they end
    from pushline.serving.telemetry import export

    return export(running, place)


def how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"it was ended by signal {-code}" if code < 0 else f"it exited with {code}"
