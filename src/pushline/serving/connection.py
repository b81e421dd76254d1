"""One connection: sockets and time on one side, the protocol and whoever answers on the other.

Requests are answered in the event loop as they complete, in their order. A refusal that is known from the head (no such
address, no key, too large) is decided before the body is read; the body is then discarded, never kept.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Any, Literal, NoReturn

from pushline.serving.app import App
from pushline.serving.exchange import Exchange
from pushline.serving.problems import Problem
from pushline.serving.protocol import Protocol

WRITE_BUFFER = 262_144  # a client that leaves more of its answers unread is answered, and read, no more until it has
A_TURN = 16  # requests of one connection that are answered before others have their turn
DISCARDED_AT_MOST = 65_536  # bytes of a body whose request is refused
DROPPED_AT_MOST = 4_194_304  # bytes that a refused client may go on sending
TICK_S = 0.25  # how often a service looks at its clock and its connections
LINGER_S = 2.0
IDLE_S = 75.0

# reading: a request has begun; lingering: refused, waits for the client to stop; closed: the answers are still being written
ConnectionState = Literal["idle", "reading", "lingering", "closed"]


class Connection(asyncio.Protocol):
    """The server's side of one connection."""

    __slots__ = ("app", "dropped", "ended", "left", "paused", "pending", "protocol", "since", "state", "transport", "trusted", "waiting")

    def __init__(self, app: App) -> None:
        self.app = app
        self.transport: Any = None
        self.protocol = Protocol(Exchange, app.settings.max_bytes)
        self.state: ConnectionState = "idle"
        self.since = monotonic()  # when the state began
        self.waiting: deque[Exchange] = deque()  # requests that have arrived and have not had their turn
        self.pending: Exchange | None = None  # is answered later; those behind it wait
        self.paused = False
        self.ended = False  # the client will send nothing more
        self.dropped = 0  # bytes
        self.left = 0  # bytes of answers, at the last look
        self.trusted = False

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        if not self.app.places.enter(self, self.since):
            self.fail(Problem("overloaded", headers=[("retry-after", "1")]))

    def connection_lost(self, error: Exception | None) -> None:
        self.state = "closed"
        self.waiting.clear()
        self.app.places.leave(self)
        self.protocol.end()

    def eof_received(self) -> bool:
        self.ended = True
        if self.protocol.request is not None and self.state == "reading" and not self.waiting and self.pending is None:
            self.fail(Problem("bad-request", "The request ended before it was complete."))
        return bool(self.waiting or self.pending)  # what has arrived is answered first

    def pause_writing(self) -> None:
        self.paused = True
        self.since = monotonic()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.paused = False
        self.since = monotonic()
        self.work()

    def data_received(self, data: bytes) -> None:
        if self.state == "lingering" or self.state == "closed":
            self.dropped += len(data)
            if self.dropped > DROPPED_AT_MOST:
                self.transport.abort()
            return
        found = self.protocol.receive(data)
        if len(found) == 1 and not self.waiting and self.pending is None:
            self.take(found[0])
        else:
            self.waiting.extend(found)
            if found:
                self.work()
        if self.state == "reading" or self.state == "idle":
            state: ConnectionState = "idle" if self.protocol.request is None and not self.waiting and self.pending is None else "reading"
            if state != self.state or (found and found[0].complete):
                self.since = monotonic()
                self.state = state

    # Requests

    def work(self) -> None:
        """Answer what waits, a few at a time and only while the client takes its answers."""
        waiting, left = self.waiting, A_TURN
        while waiting and left and not self.paused and self.pending is None:
            left -= 1
            self.take(waiting.popleft())
        if self.state == "closed" or self.state == "lingering":
            waiting.clear()
        if self.pending is not None:
            return
        if waiting:
            self.transport.pause_reading()
            if not self.paused:
                asyncio.get_running_loop().call_soon(self.work)
        elif self.ended:
            self.close()
        elif not self.paused and not self.transport.is_closing():
            self.transport.resume_reading()
            if self.state == "reading" and self.protocol.request is None:
                self.state = "idle"
                self.since = monotonic()

    def take(self, exchange: Exchange) -> None:
        """Go one step further with a request: check its head, wait for its body, or answer it."""
        app = self.app
        if exchange.transport is None:
            exchange.transport, exchange.new_id = self.transport, app.new_id
            if exchange.problem is None:
                try:
                    app.admit(exchange)
                except Problem as refusal:
                    exchange.refusal = refusal
                if exchange.trusted and not self.trusted:
                    self.trusted = True
                    app.places.trust(self)
        problem = exchange.problem or exchange.refusal
        if exchange.answered:  # its head had waited until it was whole
            return
        if problem is not None and problem.close:
            self.fail(problem, exchange)
        elif not exchange.complete:
            self.expect(exchange)
        else:
            if app.draining:
                exchange.keep_alive = False
            if problem is not None:
                app.refuse(exchange, problem)
            else:
                app.respond(exchange.route.handler, exchange)  # type: ignore[union-attr]  # without a route it was refused
            if not exchange.answered:
                self.pending, exchange.then = exchange, self.go_on
                self.transport.pause_reading()
            elif not exchange.keep_alive:
                self.close()

    def go_on(self) -> None:
        """The request that the others waited for has its answer."""
        exchange, self.pending = self.pending, None
        if exchange is not None and not exchange.keep_alive:
            self.close()
        self.work()

    def expect(self, exchange: Exchange) -> None:
        """Wait for a body, and tell a client that waits to be told."""
        if exchange.refusal is not None:
            # A short body is read and dropped, so that the connection stays usable. Another is not waited for.
            exchange.discard = True
            if b"expect" in exchange.headers or not 0 < exchange.length <= DISCARDED_AT_MOST:
                self.fail(exchange.refusal, exchange)
        elif b"expect" in exchange.headers and not exchange.old:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # Ends

    def fail(self, problem: Problem, exchange: Exchange | None = None) -> None:
        """Answer a request that can't be read to its end, and be done with the connection."""
        if self.state == "lingering" or self.state == "closed":
            return
        exchange = exchange or self.protocol.request or Exchange()
        exchange.transport, exchange.new_id = self.transport, self.app.new_id
        problem.close = True
        self.app.refuse(exchange, problem)
        self.protocol.end()
        self.state = "lingering"
        self.since = monotonic()
        if self.ended:
            self.close()
        elif not self.transport.is_closing():
            # Say no more, and let the client finish: closing at once would make its system drop the answer unread.
            self.transport.write_eof()

    def close(self) -> None:
        if self.state != "closed":
            self.state = "closed"
            self.since = monotonic()
            self.transport.close()

    def reset(self) -> None:
        self.state = "closed"
        self.transport.abort()

    def is_idle(self) -> bool:
        return self.state == "idle"

    def unsent(self) -> int:
        size: int = self.transport.get_write_buffer_size()
        return size

    def look(self, now: float) -> None:
        """End what takes too long; called a few times a second."""
        waited = now - self.since
        timeout = self.app.settings.timeout
        left, self.left = self.left, self.unsent()
        if self.left < left:
            self.since = now  # it reads, however slowly
        elif self.pending is not None:
            self.since = now
        elif self.paused or self.state == "closed" or (self.state == "idle" and self.left):
            if waited > timeout:
                self.transport.abort()
        elif self.state == "lingering":
            if waited > LINGER_S:
                self.transport.abort()
        elif self.state == "reading":
            if waited > timeout:
                self.fail(Problem("timeout", f"A request must arrive within {timeout:g} seconds."))
        elif waited > (self.app.idle_s if self.app.draining else IDLE_S):
            self.close()


async def tick(service: App) -> NoReturn:
    """What a service does a few times a second goes on, whatever happens in it."""
    while True:
        await asyncio.sleep(TICK_S)
        for part in (service.tick, service.sweep):
            try:
                part()
            except Exception as error:  # noqa: BLE001 - whatever it was, the limits in time must go on
                service.fault(error)
