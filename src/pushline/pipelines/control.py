"""The REST service of published pipelines: list, describe, start, status, logs, cancel.

It speaks HTTP through the scoring service's connections, with their limits, keys and problem documents. What it knows is in
files, so it may be killed and started again at any time: runs go on without it.
"""

import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from pushline.errors import PushlineError, SettingsError
from pushline.pipelines.control_openapi import KINDS, document
from pushline.pipelines.published import PublishedPipelines, Version
from pushline.pipelines.runs import Run, Runs, TooMany, reap
from pushline.project import Project
from pushline.results import Scalar
from pushline.serving.keys import KeyRing
from pushline.serving.pages import Page, pages_of
from pushline.serving.problems import Problem
from pushline.settings import PushlineSettings

if TYPE_CHECKING:
    from pushline.serving.connection import Connection

Tell = Callable[[str], None]
Handler = Callable[["Connection"], None]
JSON = b"application/json"
REASONS = {200: "OK", 202: "Accepted", 302: "Found", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found",
           405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 413: "Content Too Large", 414: "URI Too Long",
           415: "Unsupported Media Type", 417: "Expectation Failed", 422: "Unprocessable Content",
           431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable"}  # fmt: skip
ADDRESSES = "The addresses are /pipelines, /runs, /docs, /openapi.json and /healthz."


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a request that starts a run."""

    inputs: dict[str, Scalar] = field(default_factory=dict)
    version: int | None = None


class Refused(Problem):
    """A refusal of the kinds that only this service has."""

    def __init__(self, kind: str, detail: str) -> None:
        Exception.__init__(self, detail)
        self.kind = kind
        self.status, self.title = KINDS[kind]
        self.detail = detail
        self.errors = ()
        self.headers = ()
        self.close = False


class Control:
    """What the connections ask: the scoring service's part for published pipelines."""

    def __init__(self, project: Project, settings: PushlineSettings, keys: KeyRing, tell: Tell) -> None:
        self.settings = settings.serving
        self.at_once = settings.pipelines.at_once
        self.published = PublishedPipelines(project)
        self.runs = Runs(project, settings.pipelines.folder)
        self.keys = keys
        self.keys_refused = 0
        self.tell = tell
        self.connections: set[Connection] = set()
        self.draining = False
        self.idle_s = 0.5
        self.told_at = 0.0
        self.number = 0
        self.start_mark = f"{time.time_ns():x}"
        self.routes: dict[bytes, tuple[bytes, bool, Handler]] = {
            b"/pipelines": (b"GET", True, self.list_pipelines),
            b"/runs": (b"GET", True, self.list_runs),
            b"/healthz": (b"GET", False, lambda connection: self.reply(connection, 200, JSON, b'{"status":"ok"}')),
        }
        for path, page in pages_of(document()).items():
            self.routes[path] = (b"GET", False, partial(self.page, page))
        self.tick()

    def tick(self) -> None:
        """What is done a few times a second instead of at every request."""
        self.clock = time.monotonic()
        self.date = formatdate(usegmt=True)
        self.keys.refresh()
        if self.keys.refused != self.keys_refused:
            self.keys_refused = self.keys.refused
            self.tell(f"{self.keys.fault} The keys from before stay in force.")
        reap()

    def sweep(self) -> None:
        """End connections that take too long."""
        for connection in tuple(self.connections):
            connection.look(self.clock)

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest. False where all are in use."""
        idle = sorted((one for one in self.connections if one.state == "idle"), key=lambda one: one.since)
        if idle:
            idle[0].close()
            self.connections.discard(idle[0])
        return bool(idle)

    def new_id(self) -> bytes:
        self.number += 1
        return f"{self.start_mark}{self.number:06x}".encode()

    def route_of(self, path: bytes) -> tuple[bytes, bool, Handler]:
        """The method, whether a key is needed, and what answers. Raises Problem."""
        found = self.routes.get(path)
        if found is not None:
            return found
        parts = path.decode("latin-1").strip("/").split("/")
        match parts:
            case ["pipelines", name]:
                return b"GET", True, partial(self.describe, name, None)
            case ["pipelines", name, "versions", number] if number.isdigit() and len(number) < 10:
                return b"GET", True, partial(self.describe, name, int(number))
            case ["pipelines", name, "runs"]:
                return b"POST", True, partial(self.start, name)
            case ["runs", run]:
                return b"GET", True, partial(self.show_run, run)
            case ["runs", run, "logs"]:
                return b"GET", True, partial(self.show_log, run)
            case ["runs", run, "cancel"]:
                return b"POST", True, partial(self.cancel, run)
        raise Problem("not-found", ADDRESSES)

    # What is answered

    def list_pipelines(self, connection: "Connection") -> None:
        self.answer(connection, 200, {"pipelines": self.published.all()})

    def describe(self, name: str, number: int | None, connection: "Connection") -> None:
        self.answer(connection, 200, self.version(name, number))

    def start(self, name: str, connection: "Connection") -> None:
        said = self.body(connection)
        version = self.version(name, said.version)
        if version.status == "retired":
            raise Refused("retired", f"Version {version.version} of {name} is retired.")
        try:
            run = self.runs.start(version, said.inputs, at_once=self.at_once)
        except SettingsError as error:
            raise Refused("invalid-inputs", " ".join(part for part in (error.what, error.why, error.do) if part)) from error
        except TooMany as error:
            raise Problem("overloaded", error.what, headers=[("retry-after", "30")]) from error
        self.tell(f"started {run.id}: {name} version {version.version}")
        self.answer(connection, 202, run, location=f"/runs/{run.id}")

    def list_runs(self, connection: "Connection") -> None:
        self.answer(connection, 200, {"runs": self.runs.all()})

    def show_run(self, run: str, connection: "Connection") -> None:
        self.answer(connection, 200, self.known(run))

    def show_log(self, run: str, connection: "Connection") -> None:
        self.known(run)
        self.answer(connection, 200, self.runs.log(run, start_of(connection.url)))

    def cancel(self, run: str, connection: "Connection") -> None:
        self.known(run)
        self.tell(f"cancel {run}")
        self.answer(connection, 202, self.runs.cancel(run))

    def page(self, page: Page, connection: "Connection") -> None:
        content, more = page.for_client(connection.headers.get(b"accept-encoding", b""))
        headers = "".join(f"{name}: {value}\r\n" for name, value in more)
        known = connection.headers.get(b"if-none-match", b"").decode("latin-1") == page.etag
        self.reply(connection, 304 if known else page.status, page.type, b"" if known else content, headers)

    # The parts of an answer

    def version(self, name: str, number: int | None) -> Version:
        try:
            return self.published.version(name, number)
        except SettingsError as error:
            raise Problem("not-found", f"{error.what} {error.why}".strip()) from error

    def known(self, run: str) -> Run:
        try:
            return self.runs.run(run)
        except SettingsError as error:
            raise Problem("not-found", error.what) from error

    def body(self, connection: "Connection") -> Start:
        if b"content-type" in connection.headers:
            connection.check_type(connection.headers[b"content-type"])
        content = connection.body()
        if not content.strip():
            return Start()
        try:
            return msgspec.json.decode(content, type=Start)
        except msgspec.ValidationError as error:
            raise Refused("invalid-inputs", f"{error}.") from error
        except msgspec.DecodeError as error:
            raise Problem("malformed-json", f"{error}.") from error

    def answer(self, connection: "Connection", status: int, content: Any, *, location: str = "") -> None:
        self.reply(connection, status, JSON, msgspec.json.encode(content), f"location: {location}\r\n" if location else "")

    def reply(self, connection: "Connection", status: int, kind: bytes, content: bytes, headers: str = "") -> None:
        caching = "" if "cache-control" in headers else "cache-control: no-store\r\n"
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\ndate: {self.date}\r\ncontent-type: {kind.decode()}\r\n{caching}{headers}"
            f"x-content-type-options: nosniff\r\nx-request-id: {connection.request_id().decode()}\r\n"
        )
        if status != 304:
            head += f"content-length: {len(content)}\r\n"
        connection.send(head.encode("latin-1"), content)

    def refuse(self, connection: "Connection", problem: Problem) -> None:
        """A problem document."""
        if problem.close:
            connection.keep_alive = False
        document = problem.document(connection.request_id().decode())
        headers = "".join(f"{name}: {value}\r\n" for name, value in problem.headers)
        self.reply(connection, problem.status, b"application/problem+json", document, headers)

    def fault(self, error: BaseException, who: str = "the service") -> None:
        """A fault of ours or of the disk, for the terminal: at most one a second, so that a flood of them is none of lines."""
        import traceback

        if self.clock - self.told_at >= 1:
            self.told_at = self.clock
            told = str(error) if isinstance(error, PushlineError) else "".join(traceback.format_exception(error))
            self.tell(f"{who} failed: {told}")

    def crashed(self, connection: "Connection", error: BaseException) -> None:
        """The client gets a problem document, the terminal what happened."""
        self.fault(error, f"request {connection.request_id().decode()}")
        self.refuse(connection, Problem("internal", "What happened is told where the service runs, under this request id.", close=True))


def start_of(url: bytes) -> int:
    """The byte in `?from=N` of an address. Raises Problem."""
    from urllib.parse import parse_qs

    said = parse_qs(url.partition(b"?")[2].decode("latin-1")).get("from", ["0"])[-1]
    if not said.isdigit() or not said.isascii() or len(said) > 15:
        raise Refused("invalid-inputs", "from is a number of bytes, 0 or more.")
    return int(said)
