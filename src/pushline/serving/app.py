"""What both services are: routes behind keys, answers and refusals in one shape, and what is done at each tick."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any

import httptools
from msgspec.structs import replace

from pushline.serving.exchange import Exchange, Route
from pushline.serving.keys import KeyRing
from pushline.serving.pages import Page, pages_of
from pushline.serving.places import ConnectionSlots
from pushline.serving.problems import Problem
from pushline.serving.protocol import too_large
from pushline.serving.rights import needs_key
from pushline.settings import Serving

JSON = b"application/json"
PROBLEM = b"application/problem+json"
PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}

Handler = Callable[..., None]  # of an exchange, and of the parts of its address that have names


class App:
    """The common part of the scoring service and of the service of published pipelines."""

    realm = ""  # what its keys are for
    addresses = ""  # for who asks for another

    def __init__(self, settings: Serving, keys: KeyRing) -> None:
        self.settings = settings
        self.keys = keys
        self.keys_refused = 0
        self.places = ConnectionSlots(settings.max_in_flight)
        self.draining = False
        self.idle_s = 0.5  # while draining
        self.own_headers = b""
        self.id_start = secrets.token_hex(6).encode()
        self.id_number = 0
        self.routes: dict[bytes, Route] = {}
        self.patterns: list[tuple[re.Pattern[bytes], Route]] = []
        self.clock = time.monotonic()

    def offer(self, handlers: Mapping[str, Handler], openapi: bytes, *, json: tuple[str, ...]) -> None:
        """Answer these routes, `METHOD /path`, and the pages of the documentation. `json`: those that take a body."""
        pages: dict[str, Handler] = {f"GET {path.decode()}": partial(self.page, page) for path, page in pages_of(openapi).items()}
        for route, handler in [*handlers.items(), *pages.items()]:
            method, path = route.encode().split(b" ")
            found = Route(method, needs_key(route), handler, route in json, "score" if path == b"/score" else "other")
            if b"{" in path:
                self.patterns.append((re.compile(re.sub(rb"\{\w+\}", rb"([^/]*)", path)), found))
            else:
                self.routes[path] = found

    # What a service adds

    def fault(self, error: BaseException, **where: Any) -> None:
        """Tell the operator of a fault of ours."""
        raise NotImplementedError

    def keys_fault(self, text: str) -> None:
        """Tell the operator that the keys of before stay in force."""
        raise NotImplementedError

    def sent(self, exchange: Exchange, status: int) -> None:
        """An answer was sent."""

    def refused(self, exchange: Exchange, problem: Problem) -> None:
        """So was a refusal."""

    # At each tick

    def tick(self) -> None:
        """What is done a few times a second instead of at every request."""
        self.clock = time.monotonic()
        self.common = b"date: %b\r\n%b" % (formatdate(usegmt=True).encode(), self.own_headers)
        self.keys.refresh()
        if self.keys.refused != self.keys_refused:
            self.keys_refused = self.keys.refused
            self.keys_fault(f"{self.keys.fault} The keys from before stay in force.")

    def sweep(self) -> None:
        """End connections that take too long."""
        for connection in self.places.all():
            connection.look(self.clock)

    # The head of a request

    def admit(self, exchange: Exchange) -> None:
        """Find what answers, and refuse everything that can be refused before a body is read. Raises Problem."""
        headers = exchange.headers
        exchange.path = path = exchange.url if exchange.url in self.routes else path_of_url(exchange.url)
        exchange.route = route = self.routes.get(path) or self.matching(path)
        method = route.method
        if exchange.method != method and not (exchange.method == b"HEAD" and method == b"GET"):
            allowed = "GET, HEAD" if method == b"GET" else method.decode()
            raise Problem("method-not-allowed", f"Use {allowed} here.", headers=[("allow", allowed)])
        if route.needs_key:
            if not self.keys.accepts(headers.get(b"authorization", b"")):
                raise self.no_key(headers)
            exchange.trusted = True
        if b"content-length" in headers and int(headers[b"content-length"]) > self.settings.max_bytes:
            raise too_large(self.settings.max_bytes)
        if route.takes_json and headers.get(b"content-type", JSON) != JSON:
            check_type(headers[b"content-type"])
        if b"content-encoding" in headers and headers[b"content-encoding"].lower() != b"identity":
            raise Problem(
                "unsupported-media-type", "Send the body as it is, without a content-encoding.", headers=[("accept-encoding", "identity")]
            )
        if b"expect" in headers and not exchange.old and headers[b"expect"].lower() != b"100-continue":
            raise Problem("unmet-expectation")

    def matching(self, path: bytes) -> Route:
        """The route whose pattern the path follows. Raises Problem."""
        for pattern, route in self.patterns:
            if named := pattern.fullmatch(path):
                handler: Handler = route.handler
                return replace(route, handler=partial(handler, *(part.decode("latin-1") for part in named.groups())))
        raise Problem("not-found", self.addresses)

    def no_key(self, headers: Mapping[bytes, bytes]) -> Problem:
        challenge = f'Bearer realm="{self.realm}"'
        if b"authorization" not in headers:
            return Problem("no-key", headers=[("www-authenticate", challenge)])
        return Problem("wrong-key", headers=[("www-authenticate", challenge + ', error="invalid_token"')])

    # Answers

    def new_id(self) -> bytes:
        """A request id: this process's random part and a number."""
        self.id_number += 1
        return b"%b%08x" % (self.id_start, self.id_number)

    def health(self, exchange: Exchange) -> None:
        self.reply(exchange, 200, JSON, b'{"status":"ok"}')

    def page(self, page: Page, exchange: Exchange) -> None:
        """A page of the documentation, packed where the client can unpack it, or not at all where it has it."""
        content, headers = page.for_client(exchange.headers.get(b"accept-encoding", b""))
        known = exchange.headers.get(b"if-none-match", b"").decode("latin-1") == page.etag
        self.reply(exchange, 304 if known else page.status, page.type, b"" if known else content, headers)

    def reply(self, exchange: Exchange, status: int, kind: bytes, content: bytes, headers: list[tuple[str, str]] | tuple[()] = ()) -> None:
        """Any answer; not to be kept by a cache unless its headers say otherwise."""
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        if not any(name == "cache-control" for name, _ in headers):
            lines.append("cache-control: no-store\r\n")
        head = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b%bx-content-type-options: nosniff\r\nx-request-id: %b\r\n" % (
            status, PHRASES[status], kind, self.common, "".join(lines).encode("latin-1"), exchange.request_id())  # fmt: skip
        if status != 304:
            head += b"content-length: %d\r\n" % len(content)
        exchange.send(head, content)
        self.sent(exchange, status)

    def respond(self, handler: Callable[[Exchange], None], exchange: Exchange) -> None:
        """What the handler says, or why it says nothing."""
        try:
            handler(exchange)
        except Problem as refusal:
            self.refuse(exchange, refusal)
        except Exception as error:  # noqa: BLE001 - the one place where a fault of ours becomes an answer
            self.crashed(exchange, error)

    def refuse(self, exchange: Exchange, problem: Problem) -> None:
        """A problem document."""
        if problem.close:
            exchange.keep_alive = False
        self.reply(exchange, problem.status, PROBLEM, problem.document(exchange.request_id().decode()), list(problem.headers))
        self.refused(exchange, problem)

    def crashed(self, exchange: Exchange, error: BaseException) -> None:
        """A fault of ours: the operator gets what happened, the client a problem document."""
        self.fault(error, path=exchange.shown_path(), request_id=exchange.request_id().decode())
        if not exchange.answered:
            self.refuse(exchange, Problem("internal", "The failure is in the service's log under this request id.", close=True))


def path_of_url(url: bytes) -> bytes:
    """The path of an address, which may be absolute and carry a query. Raises Problem."""
    try:
        path: bytes = httptools.parse_url(url).path or b"/"
    except httptools.HttpParserInvalidURLError as error:
        if url.startswith(b"/"):
            return url.partition(b"?")[0]
        raise Problem("bad-request", "The address can't be read.") from error
    return path


def check_type(value: bytes) -> None:
    """Raise Problem where a content type is not JSON in UTF-8."""
    kind, *parameters = (part.strip().lower() for part in value.split(b";"))
    if kind != JSON:
        raise Problem("unsupported-media-type", headers=[("accept-post", "application/json")])
    charset = next((part.partition(b"=")[2].strip(b' "') for part in parameters if part.startswith(b"charset=")), b"utf-8")
    if charset not in (b"utf-8", b"utf8"):
        raise Problem("unsupported-media-type", "Send JSON in UTF-8.")
