"""One HTTP/1.1 connection: bytes in, bytes out, with every limit where it costs least.

Requests are answered in the event loop as they complete, in their order. A refusal that is known from the head (no such
address, no key, too large) is decided before the body is read; the body is then discarded, never kept.
"""

import asyncio
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import httptools

from pushline.serving.problems import Problem

if TYPE_CHECKING:
    from pushline.serving.service import Service

HEAD_BYTES = 16_384
ADDRESS_BYTES = 4_096
WRITE_BUFFER = 1_048_576  # a client that takes its answers slower than this is no longer read
WANTED = frozenset(
    (b"accept-encoding", b"authorization", b"connection", b"content-encoding", b"content-length", b"content-type", b"expect", b"host",
     b"if-none-match", b"traceparent", b"x-request-id")
)  # fmt: skip
ONCE = frozenset((b"authorization", b"content-type", b"host", b"content-length"))
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}\Z")
TICK_S = 0.25  # how often the service looks at its clock and its connections
LINGER_S = 2.0
IDLE_S = 75.0

# reading: a request has begun; lingering: refused, waits for the client to stop; closed: the answers are still being written
State = Literal["idle", "reading", "lingering", "closed"]


class Connection(asyncio.Protocol):
    """The server's side of one connection."""

    __slots__ = (
        "big", "chunks", "doubled", "handler", "head_done", "head_size", "headers", "id", "keep_alive", "method", "parser", "path",
        "paused", "refusal", "route", "service", "since", "size", "started", "state", "transport", "url",
    )  # fmt: skip

    def __init__(self, service: "Service") -> None:
        self.service = service
        self.transport: Any = None
        self.parser: Any = httptools.HttpRequestParser(self)
        self.paused = False
        self.big = False
        self.state: State = "idle"
        self.since = service.clock  # when the state began, to the tick
        self.started = time.perf_counter()  # of the request
        self.clear()

    def clear(self) -> None:
        """Be ready for the next request."""
        self.url = self.method = self.path = self.doubled = self.id = b""
        self.route = "other"
        self.headers: dict[bytes, bytes] = {}
        self.chunks: list[bytes] = []
        self.size = self.head_size = 0
        self.head_done = False
        self.keep_alive = True
        self.refusal: Problem | None = None
        self.handler: Callable[[Connection], None] | None = None

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        service = self.service
        if len(service.connections) >= service.settings.max_in_flight and not service.make_room():
            service.connections.add(self)
            self.fail(Problem("overloaded", "All connections are in use.", headers=[("retry-after", "1")]))
        else:
            service.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.state = "closed"
        self.service.connections.discard(self)
        self.parser = None  # it refers to this connection

    def eof_received(self) -> bool:
        if self.state == "reading":
            self.fail(Problem("bad-request", "The request ended before it was complete."))
        return False

    def pause_writing(self) -> None:
        self.paused = True
        self.since = self.service.clock
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.paused = False
        self.since = self.service.clock
        if self.state != "closed":
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state == "lingering" or state == "closed":
            return
        in_head = state == "reading" and not self.head_done
        self.big = len(data) > HEAD_BYTES
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request was answered as if no other protocol had been asked for; what follows it is not HTTP.
            if self.state == "reading":
                self.fail(Problem("bad-request", "No other protocol is spoken here."))
            else:
                self.close()
        except httptools.HttpParserCallbackError as error:
            self.service.crashed(self, error.__context__ or error)
            self.linger()
        except httptools.HttpParserError as error:
            self.fail(Problem("bad-request", f"The request can't be read: {str(error) or 'it is not HTTP/1.1'}."))
        else:
            if in_head and self.state == "reading" and not self.head_done:
                self.head_size += len(data)
                self.check_head_size()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self.state == "idle":
            self.state = "reading"
            self.since = self.service.clock
            self.started = time.perf_counter()

    def on_url(self, part: bytes) -> None:
        self.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head_done:  # a trailer
            return
        if self.big:
            self.head_size += len(name) + len(value) + 4
        name = name.lower()
        if name in WANTED:
            if name in self.headers and name in ONCE:
                self.doubled = name
            self.headers[name] = value

    def on_headers_complete(self) -> None:
        if self.state != "reading":
            return
        self.head_done = True
        self.method = self.parser.get_method()
        self.keep_alive = self.parser.should_keep_alive() and not self.service.draining
        try:
            self.check_head()
        except Problem as problem:
            if problem.close:
                self.fail(problem)
                return
            self.refusal = problem
        if b"expect" in self.headers:
            self.answer_expectation()

    def on_body(self, chunk: bytes) -> None:
        if self.state != "reading":
            return
        self.size += len(chunk)
        if self.size > self.service.settings.max_bytes:
            self.fail(self.too_large())
        elif self.refusal is None:
            self.chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self.state != "reading":
            return
        if self.paused:
            # More pipelined requests than it takes answers: what is not answered may be sent again.
            self.close()
            return
        service = self.service
        try:
            if self.refusal is not None:
                raise self.refusal
            self.handler(self)  # type: ignore[misc]
        except Problem as problem:
            service.refuse(self, problem)
        except Exception as error:  # noqa: BLE001 - the one place where a fault of ours becomes an answer
            service.crashed(self, error)
        if not self.keep_alive:
            self.close()
        else:
            self.clear()
            self.state = "idle"
            self.since = service.clock

    # The head

    def check_head_size(self) -> None:
        if len(self.url) > ADDRESS_BYTES:
            self.fail(Problem("address-too-long", f"An address may have {ADDRESS_BYTES} bytes."))
        elif self.head_size > HEAD_BYTES:
            self.fail(Problem("headers-too-large", f"The header section may have {HEAD_BYTES} bytes."))

    def check_head(self) -> None:
        """Everything that can be refused before a body is read. Raises Problem."""
        service, headers = self.service, self.headers
        if len(self.url) > ADDRESS_BYTES:
            raise Problem("address-too-long", f"An address may have {ADDRESS_BYTES} bytes.", close=True)
        if self.head_size > HEAD_BYTES:
            raise Problem("headers-too-large", f"The header section may have {HEAD_BYTES} bytes.", close=True)
        if self.doubled:
            raise Problem("bad-request", f"The header {self.doubled.decode()} appears twice.", close=True)
        if b"host" not in headers and self.parser.get_http_version() != "1.0":
            raise Problem("bad-request", "The header host is missing.", close=True)
        self.path = path = self.url if self.url in service.routes else self.path_of_url()
        method, needs_key, self.handler = service.route_of(path)
        if path == b"/score":
            self.route = "score"
        if self.method != method and not (self.method == b"HEAD" and method == b"GET"):
            allowed = "GET, HEAD" if method == b"GET" else method.decode()
            raise Problem("method-not-allowed", f"Use {allowed} here.", headers=[("allow", allowed)])
        if needs_key and not service.keys.accepts(headers.get(b"authorization", b"")):
            raise self.no_key()
        if b"content-length" in headers and int(headers[b"content-length"]) > service.settings.max_bytes:
            raise self.too_large()
        if self.route == "score" and headers.get(b"content-type", b"application/json") != b"application/json":
            self.check_type(headers[b"content-type"])
        if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
            raise Problem(
                "unsupported-media-type", "Send the body as it is, without a content-encoding.", headers=[("accept-encoding", "identity")]
            )

    def path_of_url(self) -> bytes:
        """The path of an address, which may be absolute and carry a query."""
        try:
            path: bytes = httptools.parse_url(self.url).path or b"/"
        except httptools.HttpParserInvalidURLError as error:
            if self.url.startswith(b"/"):
                return self.url.partition(b"?")[0]
            raise Problem("bad-request", "The address can't be read.") from error
        return path

    def check_type(self, value: bytes) -> None:
        kind, *parameters = (part.strip().lower() for part in value.split(b";"))
        if kind != b"application/json":
            raise Problem(
                "unsupported-media-type",
                "Send JSON with the header content-type: application/json.",
                headers=[("accept-post", "application/json")],
            )
        charset = next((part.partition(b"=")[2].strip(b' "') for part in parameters if part.startswith(b"charset=")), b"utf-8")
        if charset not in (b"utf-8", b"utf8"):
            raise Problem("unsupported-media-type", "Send JSON in UTF-8.")

    def no_key(self) -> Problem:
        challenge = 'Bearer realm="scoring"'
        if b"authorization" not in self.headers:
            return Problem("no-key", "Send a key in the header Authorization: Bearer KEY.", headers=[("www-authenticate", challenge)])
        detail = "The key of the Authorization header is not one of this endpoint's."
        return Problem("wrong-key", detail, headers=[("www-authenticate", challenge + ', error="invalid_token"')])

    def too_large(self) -> Problem:
        most = self.service.settings.max_bytes
        return Problem("body-too-large", f"A body may have {most} bytes. Send several requests.", close=True)

    def answer_expectation(self) -> None:
        """Tell a client that waits before it sends a body whether to send it."""
        if self.parser.get_http_version() == "1.0":
            return
        if self.refusal is None and self.headers[b"expect"].lower() != b"100-continue":
            self.refusal = Problem("unmet-expectation", "Only 100-continue can be expected.")
        if self.refusal is not None:
            self.fail(self.refusal)
        else:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # What the service asks of a request

    def body(self) -> bytes:
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)

    def request_id(self) -> bytes:
        """The client's own id where it sent one that is safe to repeat, else a new one."""
        if not self.id:
            given = self.headers.get(b"x-request-id")
            self.id = given if given is not None and REQUEST_ID.match(given) else self.service.new_id()
        return self.id

    def shown_path(self) -> str:
        """The path for the log: of a known address only, for a client could have put anything into another."""
        return self.path.decode() if self.handler is not None else "(unknown)"

    def send(self, head: bytes, content: bytes) -> None:
        """Write an answer; `head` ends with its last header line."""
        if not self.keep_alive:
            head += b"connection: close\r\n"
        elif self.headers.get(b"connection") is not None and self.parser.get_http_version() == "1.0":
            head += b"connection: keep-alive\r\n"
        self.transport.write(head + b"\r\n" + (b"" if self.method == b"HEAD" else content))

    # Ends

    def fail(self, problem: Problem) -> None:
        """Answer a request that can't be read to its end, and be done with the connection."""
        problem.close = True
        self.service.refuse(self, problem)
        self.linger()

    def linger(self) -> None:
        """Say no more, and let the client finish: closing at once would make its system drop the answer unread."""
        if self.state == "closed":
            return
        self.state = "lingering"
        self.since = self.service.clock
        self.chunks = []
        self.transport.write_eof()

    def close(self) -> None:
        if self.state != "closed":
            self.state = "closed"
            self.since = self.service.clock
            self.transport.close()

    def look(self, now: float) -> None:
        """End what takes too long; called a few times a second."""
        service, waited = self.service, now - self.since - TICK_S  # the state may have begun just before this tick
        timeout = service.settings.timeout
        if self.paused or self.state == "closed":
            if waited > timeout:
                self.transport.abort()
        elif self.state == "lingering":
            if waited > LINGER_S:
                self.transport.abort()
        elif self.state == "reading":
            if waited > timeout:
                self.fail(Problem("timeout", f"A request must arrive within {timeout:g} seconds."))
        elif waited > (service.idle_s if service.draining else IDLE_S):
            self.close()
