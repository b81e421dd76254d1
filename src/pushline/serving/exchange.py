"""One request and its one answer."""

import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from pushline.serving.problems import Problem
from pushline.serving.protocol import Request

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}\Z")
IN_ONE_PIECE = 65_536  # a longer content is not copied behind its head


class Exchange(Request):
    """What whoever answers holds: the request, and the right to answer it once."""

    transport: Any = None  # set, as the next, by the connection that takes it up
    new_id: Callable[[], bytes]
    route: "Route | None" = None
    path = id = b""
    refusal: Problem | None = None  # decided from the head; told once the body is over
    trusted = False  # the request brought a key that counts
    answered = False
    then: Callable[[], None] | None = None  # what the connection does once an answer that it did not wait for is sent

    def body(self) -> bytes:
        return bytes(self.content)

    def request_id(self) -> bytes:
        """The client's own id where it sent one that is safe to repeat, else a new one."""
        if not self.id:
            given = self.headers.get(b"x-request-id")
            self.id = given if given is not None and REQUEST_ID.match(given) else self.new_id()
        return self.id

    def shown_path(self) -> str:
        """The path for the log: of a known address only, for a client could have put anything into another."""
        return self.path.decode() if self.route is not None else "(unknown)"

    def send(self, head: bytes, content: bytes) -> None:
        """Answer; `head` ends with its last header line. A second answer is a fault of ours."""
        if self.answered:
            raise RuntimeError("this request was answered already")
        self.answered = True
        transport = self.transport
        if transport.is_closing():
            return
        if not self.keep_alive:
            head += b"connection: close\r\n"
        elif self.old and b"connection" in self.headers:
            head += b"connection: keep-alive\r\n"
        if self.method == b"HEAD":
            content = b""
        if len(content) > IN_ONE_PIECE:
            transport.writelines((head + b"\r\n", content))
        else:
            transport.write(head + b"\r\n" + content)
        if self.then is not None:
            self.then()


class Route(Struct, frozen=True):
    """An address that exists."""

    method: bytes
    needs_key: bool
    handler: Callable[[Exchange], None]
    takes_json: bool = False
    name: str = "other"  # in the figures
