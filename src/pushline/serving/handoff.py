"""A share of the scoring requests is answered by the candidate on this machine, and copies of others, whose answers are compared.

They wait in their order on one connection. What the candidate refuses, fails or does not answer in time, this release answers itself:
whatever becomes of the candidate, no client notices.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct

from pushline.serving.control import Order
from pushline.serving.exchange import Exchange
from pushline.serving.keys import KeyRing
from pushline.serving.metrics import Metrics
from pushline.serving.model_folder import CLEAR, QUANTITY

ANSWER_S = 2.0  # later is no answer
WAITING_AT_MOST = 64  # the next is answered here, which is no failure
AGAIN_S = 0.2  # until the next attempt to connect
ON_REQUEST = (b"x-request-id", b"traceparent")  # what a client says of its request besides


class WaitingRequest(Struct):
    """A request that the candidate was sent."""

    since: float
    exchange: Exchange | None  # none: a copy
    fields: dict[str, Any] | None = None  # what this release answered to a copy


class Handoff(asyncio.Protocol):
    """One worker's connection to the candidate."""

    def __init__(self, metrics: Metrics, keys: KeyRing, answer: Callable[[Exchange], None]) -> None:
        """`answer` is what this release does with a request that comes back."""
        self.metrics = metrics
        self.keys = keys
        self.answer = answer
        self.order = Order()
        self.transport: Any = None
        self.connecting: asyncio.Task[None] | None = None
        self.waiting: deque[WaitingRequest] = deque()
        self.received = b""

    def follow(self, order: Order) -> None:
        """From now on hand over what the order says; what waits is not called back."""
        moved = (order.host, order.port) != (self.order.host, self.order.port)
        self.order = order
        if self.transport is not None and moved and order.port:
            self.transport.abort()
        elif self.transport is None:
            self.reconnect()

    def reconnect(self) -> None:
        if self.order.port and (self.connecting is None or self.connecting.done()):
            self.connecting = asyncio.get_running_loop().create_task(self.connect())

    async def connect(self) -> None:
        while self.order.port and self.transport is None:
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().create_connection(lambda: self, self.order.host, self.order.port)
            await asyncio.sleep(AGAIN_S)

    # What a worker asks

    def hand_over(self, exchange: Exchange) -> bool:
        """Let the candidate answer. False where it can't take one more now."""
        return self.send(exchange, WaitingRequest(monotonic(), exchange))

    def copy(self, exchange: Exchange, fields: dict[str, Any]) -> None:
        """Let the candidate answer too, and compare: `fields` were answered here."""
        self.send(exchange, WaitingRequest(monotonic(), None, fields))

    def send(self, exchange: Exchange, request: WaitingRequest) -> bool:
        if self.transport is None or self.transport.is_closing() or len(self.waiting) >= WAITING_AT_MOST:
            return False
        self.waiting.append(request)
        said = b"".join(b"%b: %b\r\n" % (name, exchange.headers[name]) for name in ON_REQUEST if name in exchange.headers)
        body, host, key = exchange.body(), self.order.host.encode(), self.keys.primary
        asked = exchange.path if request.exchange is None else exchange.url  # reasons only where a client waits for them
        head = b"POST %b HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer %b\r\n%bcontent-length: %d\r\n\r\n"
        self.transport.write(head % (asked, host, key, said, len(body)) + body)
        return True

    def look(self, now: float) -> None:
        """Wait no longer for a candidate that does not answer; called a few times a second."""
        if self.waiting and now - self.waiting[0].since > ANSWER_S and self.transport is not None:
            self.transport.abort()

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        self.transport, self.received = transport, b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        while self.waiting:
            head, found, rest = self.received.partition(b"\r\n\r\n")
            length = length_in(head) if found else 0
            if not found or len(rest) < length:
                return
            self.received = rest[length:]
            self.take(self.waiting.popleft(), head, rest[:length])
        if self.received:
            self.transport.abort()  # it says what nobody asked

    def connection_lost(self, error: Exception | None) -> None:
        """What the candidate has not answered is answered here."""
        self.transport = None
        lost, self.waiting = self.waiting, deque()
        self.metrics.cells[self.metrics.handed_back] += len(lost)
        for request in lost:
            if request.exchange is not None:
                self.answer(request.exchange)
        self.reconnect()

    def take(self, request: WaitingRequest, head: bytes, content: bytes) -> None:
        """Pass the candidate's answer on, or compare it and drop it."""
        well = head.startswith(b"HTTP/1.1 200 ")
        if request.exchange is None:
            self.metrics.cells[self.metrics.compared] += 1
            self.metrics.cells[self.metrics.flipped] += differing(request.fields or {}, content) if well else 1.0
        elif well:
            request.exchange.send(head + b"\r\n", content)
        else:
            self.answer(request.exchange)


def length_in(head: bytes) -> int:
    """The length of the content behind a head of our own service."""
    lines = head.lower().split(b"\r\n")
    return next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)


def differing(fields: dict[str, Any], content: bytes) -> float:
    """The share of a request's rows to which another release's answer clearly differs from `fields`.

    A class differs clearly where the probability of what was answered moved by more than CLEAR; a quantity where it lies outside the
    interval that was answered.
    """
    try:
        other = msgspec.json.decode(content)
        if "low" in fields:
            within = zip(*(fields[name] for name in QUANTITY[1:]), other["result"], strict=True)
            differ = [not low <= value <= high for low, high, value in within]
        else:
            rows = zip(fields["result"], other["result"], fields["probability"], other["probability"], strict=True)
            differ = [one != another and moved(old, new) > CLEAR for one, another, old, new in rows]
    except (ValueError, KeyError, TypeError):
        return 1.0
    return sum(differ) / max(1, len(differ))


def moved(old: Any, new: Any) -> float:
    """How far the probability of what was answered moved; of two classes the positive one's is answered alone."""
    if not isinstance(old, list):
        return float(abs(new - old))
    most = max(range(len(old)), key=old.__getitem__)
    return float(abs(new[most] - old[most]))
