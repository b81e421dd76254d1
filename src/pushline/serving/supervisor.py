"""The process that owns the listening socket and keeps workers answering on it.

Workers come and go; the socket stays. So a crashed worker is restarted, and the socket handed over to the supervisor of
another release, without a refused connection: what arrives in between waits in the socket's queue. The supervisor loads no
model and answers no request.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from typing import Any

import msgspec

from pushline.errors import PushlineError, TargetError
from pushline.serving.child import Child, Life, become, how_it_ended, send, work
from pushline.serving.control import LINE_BYTES, Order, Question, listen
from pushline.serving.log import Level, Log
from pushline.serving.running import SLOT_BYTES, Place, Running

SPARE_SLOTS = 8  # for the counters of workers that are being replaced
STEADY_S = 10.0  # a worker that ran this long did not die of its start
END_MORE_S = 2.0  # than a worker takes at most to end by itself
LONGEST_PAUSE_S = 10.0
SENDER_PAUSE_S = 30.0
SENDER_END_S = 4.0


class Supervisor:
    """Runs until it is stopped. Processes are forked in callbacks of its loop, never in a task of it."""

    def __init__(
        self,
        running: Running,
        listener: socket.socket,
        *,
        control: Path | None = None,
        tied_to: int | None = None,
        progress: Callable[[str], None],
    ) -> None:
        self.running = running
        self.listener = listener
        self.wanted = running.settings.workers
        self.control = control
        self.tied_to = tied_to
        self.progress = progress
        self.log = Log(running.log, running.release)
        self.workers: list[Child] = []
        self.deaths = 0  # in a row, soon after the start
        self.slots = self.wanted + SPARE_SLOTS
        self.shared = mmap(-1, self.slots * SLOT_BYTES)
        # What the workers note of requests goes to one process that sends it on.
        telemetry = os.environ.get("APPLICATIONINSIGHTS_CONNECTION_STRING")
        self.notes = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) if telemetry else None
        self.sender: Child | None = None
        self.sender_not_before = 0.0
        self.stderr, self.to_stderr = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)  # a worker never waits for who reads
        self.started = time.monotonic()
        self.was_ready = False
        self.stopping = False
        self.order = Order()  # what share of the requests the workers hand over
        self.fault: PushlineError | None = None

    def run(self) -> None:
        """Start the workers and look after them until told to stop. Raises TargetError where they can't start."""
        asyncio.run(self.supervise())
        if self.fault is not None:
            raise self.fault

    async def supervise(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.deaf, self.gone = asyncio.Event(), asyncio.Event()  # nobody accepts here any more; no process is left
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.loop.add_signal_handler(number, self.stop)
        self.loop.add_reader(self.stderr, self.workers_said)
        if self.tied_to is not None:
            self.loop.add_reader(descriptor_of(self.tied_to), self.stop)
        answering = None
        if self.control is not None:
            answering = await asyncio.start_unix_server(self.called, sock=listen(self.control), limit=LINE_BYTES)
        self.loop.call_soon(self.start_missing)
        try:
            while not self.gone.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.gone.wait(), 1.0)
                self.log.put_aside()
        finally:
            for child in self.children:
                child.kill()
            if answering is not None and self.control is not None:
                answering.close()
                self.control.unlink(missing_ok=True)
            self.event("info", "stopped", seconds=round(time.monotonic() - self.started, 1))

    # Its processes

    @property
    def children(self) -> list[Child]:
        return [*self.workers, self.sender] if self.sender else list(self.workers)

    @property
    def staying(self) -> list[Child]:
        return [worker for worker in self.workers if not worker.left]

    @property
    def ready(self) -> bool:
        return len(self.staying) >= self.wanted and all(worker.ready for worker in self.staying)

    def start_missing(self) -> None:
        """Start workers up to the wanted number."""
        while not self.stopping and len(self.staying) < self.wanted:
            used = {worker.slot for worker in self.workers}
            worker = self.fork(next(slot for slot in range(self.slots) if slot not in used), work)
            self.workers.append(worker)
            self.event("info", "started", pid=worker.pid)

    def fork(self, slot: int, life: Life) -> Child:
        """One more process. It shares the listening socket and the counters, and nothing else of this process."""
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            place = Place(listener=self.listener, lifeline=theirs, shared=self.shared, slot=slot, slots=self.slots, notes=self.notes)
            become(life, self.running, place, self.to_stderr)
        theirs.close()
        ours.setblocking(False)
        child = Child(pid, ours, slot)
        self.loop.add_reader(ours, self.hear, child)
        return child

    def hear(self, child: Child) -> None:
        """Take what a process says; its end is the end of what it says."""
        try:
            part = child.lifeline.recv(4096)
        except BlockingIOError:
            return
        except ConnectionResetError:
            part = b""
        for word, rest in child.words_in(part):
            if word == "ready":
                child.ready = True
                if self.order.port:
                    self.give_order(child)
            elif word == "draining":
                self.leave(child)
                self.loop.call_soon(self.start_missing)
            elif word == "closed":
                child.accepts = False
            elif word == "failed:":
                child.fault = rest
        if not part:
            self.reap(child)
        self.look()

    def reap(self, child: Child) -> None:
        """A process is gone. A worker that nobody told to end is replaced, later the more died before it."""
        self.loop.remove_reader(child.lifeline)
        child.lifeline.close()
        child.ended = True
        fault = how_it_ended(os.waitpid(child.pid, 0)[1])
        child.fault = child.fault or fault
        if child is self.sender:
            self.sender, self.sender_not_before = None, child.started + SENDER_PAUSE_S
            self.loop.call_at(max(self.loop.time(), self.sender_not_before), self.look)
            if not child.left:
                self.event("warning", "telemetry-died", pid=child.pid, message=child.fault)
            return
        self.workers.remove(child)
        if child.left:
            return
        self.event("error", "worker-died", pid=child.pid, message=child.fault)
        if not self.was_ready and not any(other.ready for other in self.workers):
            self.fault = TargetError("The service can't start.", why=child.fault, do="Correct that, then start it again.")
            self.stop()
        self.deaths = 1 if self.loop.time() - child.started > STEADY_S else self.deaths + 1
        self.loop.call_later(0.0 if self.deaths == 1 else min(0.1 * 2**self.deaths, LONGEST_PAUSE_S), self.start_missing)

    def leave(self, child: Child, word: str = "", within_s: float = 0.0) -> None:
        """From now on it drains, because it said so or is told the word; it is killed where it takes too long."""
        if not child.left:
            child.left = True
            self.loop.call_later(within_s or self.running.drain_s + END_MORE_S, child.kill)
            with contextlib.suppress(OSError):
                child.lifeline.send(word.encode() + b"\n" if word else b"")

    def look(self) -> None:
        """Go on to what the state of the processes allows."""
        if self.stopping:
            if not any(worker.accepts for worker in self.workers):
                self.deaf.set()
            if not self.workers and self.sender:
                self.leave(self.sender, "stop", SENDER_END_S)
            elif not self.workers:
                self.gone.set()
            return
        if self.ready and not self.was_ready:
            self.was_ready = True
            seconds = time.monotonic() - self.started
            self.event("info", "ready", seconds=round(seconds, 3), workers=len(self.workers))
            self.progress(f"Ready after {seconds:.2f} s.")
        if self.notes and self.ready and not self.sender and self.loop.time() >= self.sender_not_before:
            self.sender = self.fork(self.slots - 1, send)
            self.event("info", "telemetry", pid=self.sender.pid)

    # What can be asked of it

    def stop(self, word: str = "stop") -> None:
        """Let every worker finish what it has, then end. The word is `drain` where another service answers on the socket."""
        if self.stopping:
            return
        self.stopping = True
        self.listener.close()
        for worker in self.staying:
            self.leave(worker, word)
            if not worker.ready:
                worker.kill()
        self.look()

    async def called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question on the control socket."""
        try:
            question = msgspec.json.decode(await reader.readline(), type=Question)
        except (ValueError, OSError):  # too long, no JSON, or nothing
            question = Question(do="")
        do = question.do
        descriptors = []
        if do == "retire" and not self.stopping:
            self.stop("drain")
            await self.deaf.wait()
            answer = self.status()
        elif do == "hand-over" and not self.stopping:
            answer, descriptors = self.status(), [self.listener.fileno()]
        elif do == "status":
            answer = self.status()
        elif do == "stop":
            answer = {"ok": True}
            self.loop.call_soon(self.stop)
        elif do == "split" and not self.stopping:
            answer = await self.split(question.order, reader, writer)
        else:
            asks = "status, split, hand-over, retire or stop"
            answer = {"ok": False, "error": "The service is stopping." if self.stopping else f"It can be asked to do {asks}."}
        with contextlib.suppress(OSError), writer.get_extra_info("socket").dup() as connection:
            socket.send_fds(connection, [msgspec.json.encode(answer) + b"\n"], descriptors)
        writer.close()

    async def split(self, order: Order, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any]:
        """Let the workers hand over what the orders on this connection say, until it ends: whoever gave them may have been killed."""
        try:
            while not self.stopping:
                self.follow(order)
                writer.write(msgspec.json.encode({"ok": True}) + b"\n")
                order = msgspec.json.decode(await reader.readline(), type=Question).order
        except (ValueError, OSError):
            pass
        finally:
            self.follow(Order())
        return {"ok": False}

    def follow(self, order: Order) -> None:
        self.order = order
        for worker in self.staying:
            self.give_order(worker)

    def give_order(self, worker: Child) -> None:
        with contextlib.suppress(OSError):
            worker.lifeline.send(msgspec.json.encode(self.order) + b"\n")

    def status(self) -> dict[str, Any]:
        host, port = ("", 0) if self.listener.fileno() < 0 else self.listener.getsockname()[:2]
        return {
            "ok": True,
            # All have been ready together, and one is now: a promotion waits for all, a replaced worker unmakes nothing.
            "ready": self.was_ready and not self.stopping and any(worker.ready for worker in self.staying),
            "stopping": self.stopping,
            "pid": os.getpid(),
            "host": host,
            "port": port,
            "release": self.running.release,
            "version": self.running.version,
            "model": str(self.running.model),
            "workers": [worker.pid for worker in self.staying],
        }

    def workers_said(self) -> None:
        """What a worker wrote to its standard error goes to the log, which is bounded: nothing of ours writes there."""
        said = os.read(self.stderr, 65_536)
        self.log.add_some("error", "stderr", text=said[-4096:].decode("utf-8", "replace"))
        self.log.write()

    def event(self, level: Level, event: str, **fields: Any) -> None:
        self.log.add(level, event, **fields)
        self.log.write()


def descriptor_of(pid: int) -> int:
    """A descriptor that becomes readable when the process ends."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        raise TargetError(f"There is no process {pid} to be tied to.", why=f"The system says: {error.strerror}.") from error
