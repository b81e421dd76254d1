"""Requests, responses and the table of routes."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from fake.world import World


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `target` is the raw path with its query."""

    method: str
    host: str
    target: str
    headers: dict[str, str]  # lower-case names
    body: bytes
    identity: str = ""  # client id of the caller's token, once it was checked

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def api_version(self) -> str:
        return {k.lower(): v for k, v in self.query.items()}.get("api-version", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"null")


@dataclass
class Response:
    """What goes back: `content` is JSON unless it is bytes."""

    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        return b"" if self.content is None else json.dumps(self.content).encode()


class Refusal(Exception):
    """An answer in Azure's error shape."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.response = Response(status, {"error": {"code": code, "message": message}}, headers or {})


Handler = Callable[..., Response]


@dataclass(frozen=True)
class Route:
    """A handler for a method on hosts and paths that match."""

    method: str
    host: re.Pattern[str]
    path: re.Pattern[str]
    handler: Handler
    token: bool


ROUTES: list[Route] = []


def route(method: str, host: str, path: str, *, token: bool = True) -> Callable[[Handler], Handler]:
    """Answer `method` where host and path match; `{name}` takes one segment, `{name...}` the rest.

    `token`: whether the caller must carry a valid token of the loopback directory.
    """

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, _pattern(host, "[^.]+"), _pattern(path, "[^/]+"), handler, token))
        return handler

    return register


def _pattern(text: str, segment: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[a-z_]+(?:\.\.\.)?\})", text)
    made = ""
    for part in parts:
        if part.startswith("{"):
            name = part.strip("{.}")
            made += f"(?P<{name}>.*)" if part.endswith("...}") else f"(?P<{name}>{segment})"
        else:
            made += re.escape(part)
    return re.compile(made + "/?", re.IGNORECASE)


def dispatch(world: "World", request: Request) -> Response:
    """The answer of the first route that matches; a request nobody knows is recorded and answered 404."""
    for known in ROUTES:
        if known.method not in (request.method, "ANY"):
            continue
        host, path = known.host.fullmatch(request.host), known.path.fullmatch(request.path)
        if host and path:
            if known.token:
                request = world.directory.admit(request)
            found = {**host.groupdict(), **path.groupdict()}
            return known.handler(world, request, **found)
    world.unknown.append(f"{request.method} {request.host}{request.target}")
    raise Refusal(404, "NotFound", f"The loopback Azure knows no {request.method} {request.host}{request.path}.")
