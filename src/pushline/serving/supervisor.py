"""The process that owns the listening socket and keeps workers answering on it.

Workers come and go; the socket stays. So a crashed worker is restarted, and the socket handed over to the supervisor of
another release, without a refused connection: what arrives in between waits in the socket's queue. The supervisor loads no
model and answers no request.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pushline.errors import PushlineError, TargetError
from pushline.serving.control import Caller, listen
from pushline.serving.log import Level, Log
from pushline.serving.running import Running
from pushline.serving.workers import Generation, WorkerHandle

STOP_MORE_S = 4.0  # than a worker takes at most to end by itself


class Supervisor:
    """Runs until it is stopped."""

    def __init__(
        self,
        running: Running,
        listener: socket.socket,
        *,
        workers: int,
        control: Path | None = None,
        tied_to: int | None = None,
        progress: Callable[[str], None],
    ) -> None:
        self.listener = listener
        self.control_path = control
        self.progress = progress
        self.generation = Generation(running, workers)
        self.callers: set[Caller] = set()
        self.stopping_until = 0.0
        self.retired: Caller | None = None  # who took over, and waits until nobody accepts here any more
        self.fault: PushlineError | None = None
        self.was_ready = False
        self.started = time.monotonic()
        self.log = Log(running.log, running.release)
        self.selector = selectors.PollSelector()  # has no descriptor of its own that a fork would share
        self.control: socket.socket | None = None
        self.tied_to = tied_to

    # The loop

    def run(self) -> None:
        """Start the workers and look after them until told to stop. Raises TargetError where they can't start."""
        waker, woken = socket.socketpair()
        waker.setblocking(False)
        woken.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.watch(woken, lambda: drop(woken))
        self.watch(self.generation.stderr, self.workers_said)
        if self.tied_to is not None:
            self.watch(descriptor_of(self.tied_to), self.stop)
        if self.control_path is not None:
            self.control = listen(self.control_path)
            self.watch(self.control, self.called)
        try:
            while self.look_after():
                for key, _ in self.selector.select(0.1 if self.in_motion() else 1.0):
                    key.data()
        finally:
            self.kill()
            if self.retired is not None:
                self.retired.answer(ok=True)
            if self.control is not None and self.control_path is not None:
                self.control_path.unlink(missing_ok=True)
            self.event("info", "stopped", seconds=round(time.monotonic() - self.started, 1))
            signal.set_wakeup_fd(-1)
            self.close(waker, woken)
        if self.fault is not None:
            raise self.fault

    def watch(self, what: Any, then: Callable[[], None]) -> None:
        self.selector.register(what, selectors.EVENT_READ, then)

    def close(self, *ends: socket.socket) -> None:
        """Let go of every descriptor that is its own."""
        self.selector.close()
        callers = [caller.connection for caller in self.callers]
        lifelines = [process.lifeline for process in self.generation.processes]
        for end in (*ends, *callers, *lifelines, self.listener, *([self.control] if self.control else [])):
            end.close()
        self.generation.close()

    def kill(self) -> None:
        for process in self.generation.processes:
            process.kill()

    def in_motion(self) -> bool:
        """Whether something is to be done at a time rather than at an event."""
        return bool(self.stopping_until or len(self.generation.staying) < self.generation.wanted)

    def look_after(self) -> bool:
        """Bury the dead, replace them, and take a stop one step further. False once all is over."""
        self.reap_workers()
        now = time.monotonic()
        self.generation.kill_late(now)
        if self.stopping_until:
            if now > self.stopping_until:
                self.kill()
            if self.retired and not self.generation.accepts:
                self.retired.answer(**self.status())
                self.retired = None
            return bool(self.generation.processes)
        self.start(now)
        if not self.was_ready and self.generation.ready:
            self.was_ready = True
            self.event("info", "ready", seconds=round(now - self.started, 3), workers=len(self.generation.workers))
            self.progress(f"Ready after {now - self.started:.2f} s.")
        self.log.put_aside()
        return True

    def start(self, now: float) -> None:
        """Start the workers that are missing; none of them keeps a descriptor that is the supervisor's own."""
        ours = [process.lifeline.fileno() for process in self.generation.processes]
        ours += [caller.connection.fileno() for caller in self.callers]
        ours += [self.control.fileno()] if self.control else []
        for worker in self.generation.start_missing(self.listener, ours, now):
            self.watch(worker.lifeline, worker.hear)
            self.event("info", "started", pid=worker.pid)
        ours += [worker.lifeline.fileno() for worker in self.generation.workers]
        for sender in self.generation.start_sender(self.listener, ours, now):
            self.watch(sender.lifeline, sender.hear)
            self.event("info", "telemetry", pid=sender.pid)

    def reap_workers(self) -> None:
        """Take note of the workers that have ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for process in [process for process in self.generation.processes if process.pid == pid]:
                process.hear()  # its last words
                self.selector.unregister(process.lifeline)
                sent = process is self.generation.sender
                self.generation.buried(process, status, time.monotonic())
                if sent and not process.left:
                    self.event("warning", "telemetry-died", pid=process.pid, message=process.fault)
                elif not process.left:
                    self.died(process)

    def died(self, worker: WorkerHandle) -> None:
        """A worker that nobody told to end is replaced; only where none has ever answered, the service can't start."""
        self.event("error", "worker-died", pid=worker.pid, message=worker.fault)
        if not self.was_ready and not any(other.ready for other in self.generation.workers):
            self.fault = TargetError("The service can't start.", why=worker.fault, do="Correct that, then start it again.")
            self.stop()

    # What can be asked of it

    def stop(self, word: str = "stop") -> None:
        """Let every worker finish what it has, then end. The word is `drain` where another service answers on the socket."""
        if self.stopping_until:
            return
        self.stopping_until = time.monotonic() + self.generation.running.drain_s + STOP_MORE_S
        with contextlib.suppress(OSError):
            self.listener.close()
        self.generation.leave(word)
        for worker in self.generation.workers:
            if not worker.ready:
                worker.kill()

    def called(self) -> None:
        assert self.control is not None
        try:
            connection, _ = self.control.accept()
        except OSError:
            return
        connection.setblocking(False)
        caller = Caller(connection)
        self.callers.add(caller)
        self.watch(connection, lambda: self.heard(caller))

    def heard(self, caller: Caller) -> None:
        try:
            question = caller.question()
        except (ValueError, OSError) as error:
            question = {"fault": str(error)}
        if question is None:
            return
        self.callers.discard(caller)
        self.selector.unregister(caller.connection)
        do = question.get("do")
        if do == "status":
            caller.answer(**self.status())
        elif do == "stop":
            caller.answer(ok=True)
            self.stop()
        elif do == "hand-over" and not self.stopping_until:
            caller.hand(self.listener, **self.status())
        elif do == "retire" and not self.stopping_until:
            self.retired = caller
            self.stop("drain")
        else:
            asks = "status, hand-over, retire or stop"
            caller.answer(ok=False, error="The service is stopping." if self.stopping_until else f"It can be asked to do {asks}.")

    def status(self) -> dict[str, Any]:
        running = self.generation.running
        host, port = ("", 0) if self.listener.fileno() < 0 else self.listener.getsockname()[:2]
        return {
            "ok": True,
            # All have been ready together, and one is now: a promotion waits for all, a replaced worker unmakes nothing.
            "ready": self.was_ready and not self.stopping_until and any(worker.ready for worker in self.generation.staying),
            "stopping": bool(self.stopping_until),
            "pid": os.getpid(),
            "host": host,
            "port": port,
            "release": running.release,
            "version": running.version,
            "model": str(running.model),
            "workers": [worker.pid for worker in self.generation.staying],
        }

    def workers_said(self) -> None:
        """What a worker wrote to its standard error goes to the log, which is bounded: nothing of ours writes there."""
        said = os.read(self.generation.stderr.fileno(), 65_536)
        self.log.add_some("error", "stderr", text=said[-4096:].decode("utf-8", "replace"))
        self.log.write()

    def event(self, level: Level, event: str, **fields: Any) -> None:
        self.log.add(level, event, **fields)
        self.log.write()


def bind(host: str, port: int) -> socket.socket:
    """The listening socket. Raises TargetError where the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise TargetError(
            f"{host}:{port} can't be listened on.",
            why=f"The system says: {error.strerror or error}.",
            do="Stop what listens there, or name another port with --port (0: any free one).",
        ) from error
    listener.setblocking(False)
    return listener


def descriptor_of(pid: int) -> int:
    """A descriptor that becomes readable when the process ends."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        raise TargetError(f"There is no process {pid} to be tied to.", why=f"The system says: {error.strerror}.") from error


def drop(woken: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        woken.recv(4096)
