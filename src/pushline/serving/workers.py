"""The worker processes of one release, as their supervisor sees them."""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from mmap import mmap

from pushline.serving.running import SLOT_BYTES, Place, Running, telemetry_wanted

Life = Callable[[Running, Place], int]
SPARE_SLOTS = 8  # for the counters of workers that are being replaced
STEADY_S = 10.0  # a worker that ran this long did not die of its start
END_MORE_S = 2.0  # than a worker takes at most to end by itself
LONGEST_PAUSE_S = 10.0
SENDER_PAUSE_S = 30.0
SENDER_END_S = 4.0


class WorkerHandle:
    """One worker process."""

    def __init__(self, pid: int, lifeline: socket.socket, slot: int) -> None:
        self.pid = pid
        self.lifeline = lifeline
        self.slot = slot
        self.started = time.monotonic()
        self.left = 0.0  # when it was told to drain, or said that it does
        self.ready = False
        self.accepts = True
        self.fault = ""
        self.said = b""

    def leave(self, word: str) -> None:
        """Tell it to drain: `drain` where others answer, `stop` where nobody does."""
        self.left = self.left or time.monotonic()
        with contextlib.suppress(OSError):
            self.lifeline.send(word.encode() + b"\n")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def hear(self) -> None:
        """Take what it says on its lifeline."""
        try:
            part = self.lifeline.recv(4096)
        except (BlockingIOError, ConnectionResetError):
            return
        *lines, self.said = (self.said + part).split(b"\n")
        for line in lines:
            word, _, rest = line.decode("utf-8", "replace").partition(" ")
            if word == "ready":
                self.ready = True
            elif word == "draining":
                self.left = self.left or time.monotonic()
            elif word == "closed":
                self.accepts = False
            elif word == "failed:":
                self.fault = rest


class Generation:
    """The workers of one release and the memory of its counters."""

    def __init__(self, running: Running, wanted: int) -> None:
        self.running = running
        self.wanted = wanted
        self.slots = wanted + SPARE_SLOTS
        self.shared = mmap(-1, self.slots * SLOT_BYTES)
        self.workers: list[WorkerHandle] = []
        self.deaths = 0  # in a row, soon after the start
        self.not_before = 0.0  # when the next one may start
        # What the workers note of requests goes to one process that sends it on.
        self.channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) if telemetry_wanted() else None
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)  # a worker never waits for who reads
        self.stderr, self.to_stderr = os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)
        self.sender: WorkerHandle | None = None
        self.sender_not_before = 0.0

    def close(self) -> None:
        for end in (self.stderr, self.to_stderr, *(self.channel or ())):
            end.close()

    @property
    def processes(self) -> list[WorkerHandle]:
        return [*self.workers, self.sender] if self.sender else list(self.workers)

    @property
    def staying(self) -> list[WorkerHandle]:
        return [worker for worker in self.workers if not worker.left]

    @property
    def ready(self) -> bool:
        staying = self.staying
        return len(staying) >= self.wanted and all(worker.ready for worker in staying)

    @property
    def accepts(self) -> bool:
        return any(worker.accepts for worker in self.workers)

    def leave(self, word: str) -> None:
        for worker in self.staying:
            worker.leave(word)

    def kill_late(self, now: float) -> None:
        """End those that should have ended by themselves."""
        for worker in self.workers:
            if worker.left and now > worker.left + self.running.drain_s + END_MORE_S:
                worker.kill()
        if self.sender is not None and not self.workers:
            if not self.sender.left:
                self.sender.leave("stop")
            elif now > self.sender.left + SENDER_END_S:
                self.sender.kill()

    def start_missing(self, listener: socket.socket, to_close: Sequence[int], now: float) -> list[WorkerHandle]:
        """Start workers up to the wanted number, unless one died a moment ago."""
        if now < self.not_before:
            return []
        known = len(self.workers)
        while len(self.staying) < self.wanted:
            others = [worker.lifeline.fileno() for worker in self.workers[known:]]
            used = {worker.slot for worker in self.workers}
            slot = next(slot for slot in range(self.slots) if slot not in used)
            self.workers.append(self.fork(listener, [*to_close, *others], slot, work))
        return self.workers[known:]

    def start_sender(self, listener: socket.socket, to_close: Sequence[int], now: float) -> list[WorkerHandle]:
        """Start the process that sends to Application Insights, once the service is ready and where that is wanted."""
        if self.channel is None or self.sender or not self.ready or now < self.sender_not_before:
            return []
        self.sender_not_before = now + SENDER_PAUSE_S
        receiver = self.channel[0]
        self.sender = self.fork(listener, to_close, self.slots - 1, lambda running, place: send(running, place, receiver))
        return [self.sender]

    def fork(self, listener: socket.socket, to_close: Sequence[int], slot: int, life: Life) -> WorkerHandle:
        """One more process. It shares the listening socket and the counters, and nothing else of this process."""
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            code = 4
            try:
                ours.close()
                os.dup2(self.to_stderr.fileno(), 2)
                for descriptor in {*to_close, self.stderr.fileno(), self.to_stderr.fileno()}:
                    os.close(descriptor)
                notes = self.channel[1] if self.channel else None
                place = Place(listener=listener, lifeline=theirs, shared=self.shared, slot=slot, slots=self.slots, telemetry=notes)
                code = run_child(self.running, place, life)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        theirs.close()
        ours.setblocking(False)
        return WorkerHandle(pid, ours, slot)

    def buried(self, worker: WorkerHandle, status: int, now: float) -> None:
        """A worker is gone; if it was not told to go, the next one waits the longer the more died before it."""
        worker.lifeline.close()
        worker.fault = worker.fault or how_it_ended(status)
        if worker is self.sender:
            self.sender = None
            return
        self.workers.remove(worker)
        if worker.left:
            return
        self.deaths = 1 if now - worker.started > STEADY_S else self.deaths + 1
        pause = 0.0 if self.deaths == 1 else min(0.1 * 2**self.deaths, LONGEST_PAUSE_S)
        self.not_before = now + pause


def work(running: Running, place: Place) -> int:
    """Answer requests. What that needs is loaded here, never in the supervisor."""
    from pushline.serving.worker import work as answer

    return answer(running, place)


def send(running: Running, place: Place, receiver: socket.socket) -> int:
    """Send to Application Insights."""
    place.listener.close()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the last of the workers' notes come when they end
    from pushline.serving.telemetry import export

    return export(running, place, receiver)


def run_child(running: Running, place: Place, life: Life) -> int:
    """The life of a process, from the fork on."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    try:
        return life(running, place)
    except BaseException as error:  # noqa: BLE001 - whatever it was, the supervisor and the log hear of it
        import traceback

        traceback.print_exc()
        with contextlib.suppress(OSError):
            place.lifeline.sendall(f"failed: {type(error).__name__}: {' '.join(str(error).split())}\n".encode())
        return 4


def how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"it was ended by signal {-code}" if code < 0 else f"it exited with {code}"
