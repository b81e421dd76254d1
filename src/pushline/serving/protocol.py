"""HTTP/1.1 as a state machine without input or output: bytes in, requests out.

`receive` takes what arrived and returns requests in their order: a whole one once, one whose body is still to come as soon
as its head is there and once more when it is whole, and one that can't be read (`problem` says why) as the last of all.
Every limit on what a client may send is held here, where it costs least, whoever the client is.
"""

import time
from typing import Any, Generic, TypeVar

import httptools

from pushline.serving.problems import Problem

HEAD_BYTES = 16_384  # of a header section, and of the trailers
ADDRESS_BYTES = 4_096
PIPELINED = 200  # requests that may arrive in one piece
CHUNKS = 16_384  # of a body, or one for each 64 bytes that a body may have
FRAMING = 8  # bytes around each byte of a body: chunks of one byte have five
WANTED = frozenset(
    (b"accept-encoding", b"authorization", b"connection", b"content-encoding", b"content-length", b"content-type", b"expect", b"host",
     b"if-none-match", b"traceparent", b"transfer-encoding", b"x-request-id")
)  # fmt: skip
STOPS = (httptools.HttpParserError, httptools.HttpParserUpgrade)
ONCE = frozenset((b"authorization", b"content-type", b"host", b"content-length"))


class Request:
    """One request, as far as it has arrived."""

    # Defaults of the class: a request that needs no more than a few of them is made faster.
    url = method = doubled = b""
    content: bytes | bytearray = b""
    size = 0  # of the body
    head_size = 0  # of what was seen of the head; once that is whole, of the trailers
    wire = 0  # bytes that arrived since the piece in which it began
    chunks = 0
    headed = False  # whether the head is whole
    old = False  # HTTP/1.0, where that makes a difference
    keep_alive = True
    upgrade = False
    announced = False
    discard = False  # whoever got it needs no body
    complete = False
    problem: Problem | None = None

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.headers: dict[bytes, bytes] = {}

    @property
    def length(self) -> int:
        """Of the body, where the head says so; 0 otherwise."""
        return int(self.headers.get(b"content-length", b"0"))


R = TypeVar("R", bound=Request)


class Protocol(Generic[R]):
    """The server's side of one connection, for requests of a class of the caller's."""

    def __init__(self, kind: type[R], max_bytes: int) -> None:
        self.kind = kind
        self.max_bytes = max_bytes
        self.parser: Any = httptools.HttpRequestParser(self)
        self.request: R | None = None  # the one that is arriving
        self.found: list[R] = []
        self.ended = False
        self.big = False
        self.replaying = False

    def receive(self, data: bytes) -> list[R]:
        """The requests that these bytes bring."""
        if self.ended:
            return []
        found: list[R] = []
        self.found = found
        before = self.request
        self.big = len(data) > HEAD_BYTES
        stop: Exception | None = None
        try:
            self.parser.feed_data(data)
        except STOPS as error:
            stop = error
        if stop is not None:
            self.stumble(stop, data)
        request = self.request
        if request is not None:
            if request is before:
                request.wire += len(data)
            try:
                self.check_unfinished(request)
            except Problem as problem:
                self.break_off(problem)
        return found

    def stumble(self, error: Exception, data: bytes) -> None:
        """Read on behind what the parser stopped at, or not at all."""
        rest: bytes | memoryview = data
        while isinstance(error, httptools.HttpParserUpgrade):
            rest = memoryview(rest)[error.args[0] :]
            try:
                self.go_on()
                if not self.ended:
                    self.parser.feed_data(rest)
                return
            except STOPS as another:
                error = another
        if not isinstance(error, httptools.HttpParserCallbackError):
            self.break_off(Problem("bad-request", f"The request can't be read: {str(error) or 'it is not HTTP/1.1'}."))
        elif isinstance(error.__context__, Problem):
            self.break_off(error.__context__)
        else:
            raise error

    def check_unfinished(self, request: R) -> None:
        """Hold a request that goes on arriving to its limits, and tell of it once its head is there. Raises Problem."""
        if not request.headed:
            if len(request.url) > ADDRESS_BYTES:
                raise Problem("address-too-long")
            if request.wire > HEAD_BYTES:
                raise Problem("headers-too-large")
        elif request.wire > (FRAMING + 1) * request.size + 3 * HEAD_BYTES:
            raise Problem("headers-too-large")
        elif not request.announced:
            request.announced = True
            self.found.append(request)

    def go_on(self) -> None:
        """Take no notice of a head that asked for another protocol (RFC 9110, 7.8), but for CONNECT.

        The parser has stopped behind that head, so a new one is given the part of it that says how long the body is.
        """
        request = self.request
        if request is None or request.method == b"CONNECT":
            self.break_off(Problem("bad-request", "No other protocol is spoken here."))
            return
        if b"transfer-encoding" in request.headers:
            length = b"transfer-encoding: chunked\r\n"
        else:
            length = b"content-length: %b\r\n" % request.headers.get(b"content-length", b"0")
        request.upgrade = False
        self.parser, self.replaying = httptools.HttpRequestParser(self), True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % length)

    def break_off(self, problem: Problem) -> None:
        """Read nothing more: this request can't be told from what follows it."""
        request = self.request or self.kind()
        request.problem = problem
        problem.close = True
        request.keep_alive = False
        self.request = None
        self.found.append(request)
        self.end()

    def end(self) -> None:
        self.ended = True
        self.parser = None  # it refers to this object

    # What the parser calls; whatever is raised ends its work at once

    def on_message_begin(self) -> None:
        if not self.replaying:
            self.request = self.kind()

    def on_url(self, part: bytes) -> None:
        if not self.replaying and self.request is not None:
            self.request.url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self.request
        if self.replaying or request is None:
            return
        if self.big or request.headed:
            request.head_size += len(name) + len(value) + 4
            if request.head_size > HEAD_BYTES:
                raise Problem("headers-too-large")
        if request.headed:  # a trailer
            return
        name = name.lower()
        if name in WANTED:
            if name in request.headers and name in ONCE:
                request.doubled = name
            request.headers[name] = value

    def on_headers_complete(self) -> None:
        request = self.request
        if self.replaying or request is None:
            self.replaying = False
            return
        parser, headers = self.parser, request.headers
        request.headed = True
        if request.head_size:
            request.head_size = 0
        request.method = method = parser.get_method()
        if not parser.should_keep_alive():
            request.keep_alive = False
        if b"connection" in headers or b"expect" in headers or b"host" not in headers or method == b"CONNECT":
            request.old = parser.get_http_version() == "1.0"
            request.upgrade = parser.should_upgrade()
        if len(request.url) > ADDRESS_BYTES:
            raise Problem("address-too-long")
        if request.doubled:
            raise Problem("bad-request", f"The header {request.doubled.decode()} appears twice.")
        if b"host" not in headers and not request.old:
            raise Problem("bad-request")

    def on_chunk_header(self) -> None:
        request = self.request
        if request is not None:
            request.chunks += 1
            if request.chunks > max(CHUNKS, self.max_bytes // 64):
                raise Problem("bad-request", "The body comes in too many chunks.")

    def on_body(self, part: bytes) -> None:
        request = self.request
        if request is None:
            return
        request.size += len(part)
        if request.size > self.max_bytes:
            raise too_large(self.max_bytes)
        if request.discard:
            return
        if not request.content:
            request.content = part
        else:
            if isinstance(request.content, bytes):
                request.content = bytearray(request.content)
            request.content += part

    def on_message_complete(self) -> None:
        request = self.request
        if request is None or request.upgrade:
            return
        request.complete = True
        self.request = None
        self.found.append(request)
        if len(self.found) > PIPELINED:
            raise Problem("overloaded", f"Only {PIPELINED} requests may be sent before their answers are read.")


def too_large(most: int) -> Problem:
    return Problem("body-too-large", f"A body may have {most} bytes. Send several requests.", close=True)
