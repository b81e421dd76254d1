"""What a worker answers: the routes, and scoring with everything a user needs around it."""

import secrets
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial
from random import random
from typing import TYPE_CHECKING, Any

import msgspec

from pushline.serving.keys import KeyRing
from pushline.serving.log import Level, Log
from pushline.serving.metrics import Metrics
from pushline.serving.openapi import document_of
from pushline.serving.pages import Page, pages_of
from pushline.serving.problems import Problem
from pushline.serving.records import Records
from pushline.serving.running import Running
from pushline.serving.scorer import Scorer
from pushline.serving.telemetry import Note, Sender

if TYPE_CHECKING:
    from mmap import mmap
    from socket import socket

    from pushline.serving.connection import Connection

JSON = b"application/json"
TEXT = b"text/plain; version=0.0.4; charset=utf-8"
REASONS = {200: b"OK", 302: b"Found", 304: b"Not Modified", 400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found",
           405: b"Method Not Allowed", 408: b"Request Timeout", 413: b"Content Too Large",
           414: b"URI Too Long", 415: b"Unsupported Media Type", 417: b"Expectation Failed", 422: b"Unprocessable Content",
           431: b"Request Header Fields Too Large", 500: b"Internal Server Error", 503: b"Service Unavailable"}  # fmt: skip


class Service:
    """One model in one worker process."""

    def __init__(
        self, running: Running, *, shared: "mmap | None" = None, slot: int = 0, slots: int = 1, telemetry: "socket | None" = None
    ) -> None:
        """Load and warm the model; read the keys.

        Raises ModelUnreadable or SettingsError, and then the worker never becomes ready.
        """
        self.running = running
        self.settings = running.settings
        self.scorer = Scorer(running.model, max_rows=running.settings.max_rows)
        self.keys = KeyRing(running.keys)
        self.keys_refused = 0
        self.metrics = Metrics(self.scorer.classes, binary=self.scorer.binary, shared=shared, slot=slot, slots=slots)
        self.log = Log(running.log, running.release)
        self.telemetry = Sender(telemetry) if telemetry is not None else None
        self.record = running.settings.record if running.records is not None else 0.0
        if running.records is not None and self.record:
            self.records = Records(running.records, running.release, running.version, days=running.settings.record_days)
            self.log.also = self.records.write
        self.openapi = document_of(self.scorer, running.version, running.settings)
        self.connections: set[Connection] = set()
        self.draining = False
        self.idle_s = 0.0
        self.access_log = running.settings.access_log
        self.id_start = secrets.token_hex(6)
        self.id_number = 0
        self.encode = msgspec.json.Encoder().encode
        self.answer_end = self.end_of_answers()
        self.routes: dict[bytes, tuple[bytes, bool, Callable[[Connection], None]]] = {
            b"/score": (b"POST", True, self.score),
            b"/healthz": (b"GET", False, self.health),
            b"/readyz": (b"GET", False, self.readiness),
            b"/metrics": (b"GET", True, self.measurements),
        }
        for path, page in pages_of(self.openapi).items():
            self.routes[path] = (b"GET", False, partial(self.page, page))
        self.tick()

    def tick(self) -> None:
        """What is done a few times a second instead of at every request."""
        self.clock = time.monotonic()
        version, release = self.running.version.encode(), self.running.release.encode()
        self.common = b"date: %b\r\nx-model-version: %b\r\nx-release: %b\r\n" % (formatdate(usegmt=True).encode(), version, release)
        self.score_head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\n" + self.common
        self.keys.refresh()
        if self.keys.refused != self.keys_refused:
            self.keys_refused = self.keys.refused
            self.log.add("error", "keys", message=f"{self.keys.fault} The keys from before stay in force.")
        self.metrics.cells[self.metrics.log_lost] = self.log.lost + (self.records.lost if self.record else 0)
        self.metrics.publish()
        if self.telemetry is not None:
            self.telemetry.send()

    def sweep(self) -> None:
        """End connections that take too long."""
        for connection in tuple(self.connections):
            connection.look(self.clock)

    def make_room(self) -> bool:
        """Close the connection that has been idle for longest. False where all are in use."""
        idle = [connection for connection in self.connections if connection.state == "idle"]
        if not idle:
            return False
        oldest = min(idle, key=lambda connection: connection.since)
        oldest.close()
        self.connections.discard(oldest)
        return True

    def drain(self, idle_s: float) -> None:
        """From now on every answer is the last of its connection; one that stays idle for `idle_s` is closed."""
        self.draining = True
        self.idle_s = idle_s

    def route_of(self, path: bytes) -> tuple[bytes, bool, Callable[["Connection"], None]]:
        """The method, whether a key is needed, and what answers. Raises Problem."""
        found = self.routes.get(path)
        if found is None:
            raise Problem("not-found", "The addresses are /score, /docs, /openapi.json, /healthz, /readyz and /metrics.")
        return found

    def new_id(self) -> bytes:
        """A request id: this worker's random part and a number."""
        self.id_number += 1
        return f"{self.id_start}{self.id_number:08x}".encode()

    def score(self, connection: "Connection") -> None:
        """The hot path: decode, validate, score, encode, write, count."""
        shown = self.scorer.score(connection.body())
        results = self.scorer.results(shown)
        content = b'{"result":%b,"probability":%b%b' % (self.encode(results), self.encode(shown), self.answer_end)
        request_id = connection.request_id()
        connection.send(b"%bx-request-id: %b\r\ncontent-length: %d\r\n" % (self.score_head, request_id, len(content)), content)
        elapsed = time.perf_counter() - connection.started
        self.metrics.count("score", 200, elapsed)
        self.metrics.scored(results, shown)
        if self.access_log and random() < self.access_log:  # noqa: S311 - a sample
            self.note("info", "request", connection, 200, elapsed, rows=len(shown))
        if self.record and random() < self.record:  # noqa: S311 - a sample
            self.records.add(connection.body(), results, shown, request_id.decode())

    def end_of_answers(self) -> bytes:
        """What every answer says of the model, as the end of its JSON."""
        scorer, version = self.scorer, self.running.version
        said = {"threshold": scorer.threshold} if scorer.binary else {"classes": scorer.classes}
        return b"," + self.encode({**said, "model_version": version})[1:]

    def health(self, connection: "Connection") -> None:
        self.reply(connection, 200, JSON, b'{"status":"ok"}', no_store=True)

    def readiness(self, connection: "Connection") -> None:
        if self.draining:
            raise Problem("overloaded", "This worker is stopping; another one answers.", headers=[("retry-after", "1")], close=True)
        content = self.encode({"status": "ready", "release": self.running.release, "model_version": self.running.version})
        self.reply(connection, 200, JSON, content, no_store=True)

    def measurements(self, connection: "Connection") -> None:
        self.reply(connection, 200, TEXT, self.metrics.text(self.running.release, self.running.version), no_store=True)

    def page(self, page: Page, connection: "Connection") -> None:
        """A page of the documentation, packed where the client can unpack it, or not at all where it has it."""
        content, headers = page.for_client(connection.headers.get(b"accept-encoding", b""))
        known = connection.headers.get(b"if-none-match", b"").decode("latin-1") == page.etag
        self.reply(connection, 304 if known else page.status, page.type, b"" if known else content, headers=headers)

    def reply(
        self,
        connection: "Connection",
        status: int,
        kind: bytes,
        content: bytes,
        *,
        headers: list[tuple[str, str]] | None = None,
        no_store: bool = False,
    ) -> None:
        """Any answer but a score."""
        request_id = connection.request_id()
        lines = [f"{name}: {value}\r\n" for name, value in headers or ()]
        if no_store:
            lines.append("cache-control: no-store\r\n")
        head = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n%b%bx-content-type-options: nosniff\r\nx-request-id: %b\r\n" % (
            status, REASONS[status], kind, self.common, "".join(lines).encode("latin-1"), request_id)  # fmt: skip
        if status != 304:
            head += b"content-length: %d\r\n" % len(content)
        connection.send(head, content)
        self.metrics.count(connection.route, status, time.perf_counter() - connection.started)

    def refuse(self, connection: "Connection", problem: Problem) -> None:
        """A problem document; always logged, up to so many a second."""
        request_id = connection.request_id()
        document = problem.document(request_id.decode())
        if problem.close:
            connection.keep_alive = False
        self.metrics.cells[self.metrics.kind_of[problem.kind]] += 1
        self.reply(connection, problem.status, b"application/problem+json", document, headers=list(problem.headers), no_store=True)
        level: Level = "error" if problem.status >= 500 else "warning"
        self.note(level, "refused", connection, problem.status, time.perf_counter() - connection.started, kind=problem.kind)

    def note(self, level: Level, event: str, connection: "Connection", status: int, elapsed_s: float, **more: Any) -> None:
        """Tell of one request in the log, and to Application Insights where that is wanted."""
        method, path, request_id = connection.method.decode("latin-1"), connection.shown_path(), connection.request_id().decode()
        fields = {"method": method, "path": path, "status": status, "ms": round(elapsed_s * 1000, 3), "request_id": request_id, **more}
        add = self.log.add if level == "info" else self.log.add_some
        add(level, event, **fields)
        if self.telemetry is not None:
            traceparent = connection.headers.get(b"traceparent", b"").decode("latin-1")
            self.telemetry.add(Note(time.time_ns(), elapsed_s, method, path, status, request_id, traceparent=traceparent, **more))

    def fault(self, error: BaseException, **where: Any) -> None:
        """A fault of ours goes to the log, up to so many a second."""
        import traceback

        self.log.add_some("error", "crash", **where, trace=traceback.format_exception(error))

    def crashed(self, connection: "Connection", error: BaseException) -> None:
        """A fault of ours: the client gets a problem document, the log the traceback."""
        self.fault(error, path=connection.shown_path())
        self.refuse(connection, Problem("internal", "The failure is in the service's log under this request id.", close=True))
