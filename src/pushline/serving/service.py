"""What a worker answers: scores, with everything a user needs around them."""

import os
import re
import time
from functools import partial
from random import random
from typing import Any
from urllib.parse import parse_qs

import msgspec

from pushline.serving.app import JSON, App
from pushline.serving.control import Order
from pushline.serving.exchange import Exchange
from pushline.serving.handoff import Handoff
from pushline.serving.keys import KeyRing
from pushline.serving.log import Level, Log
from pushline.serving.metrics import Metrics
from pushline.serving.openapi import document_of
from pushline.serving.problems import Problem
from pushline.serving.records import Records
from pushline.serving.running import Place, Running
from pushline.serving.scorer import Scorer
from pushline.serving.telemetry import Sender, TelemetryNote

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TEXT = b"text/plain; version=0.0.4; charset=utf-8"


class Service(App):
    """One model in one worker process."""

    realm = "scoring"
    addresses = "The addresses are /score, /docs, /openapi.json, /healthz, /readyz and /metrics."

    def __init__(self, running: Running, place: Place) -> None:
        """Load and warm the model; read the keys.

        Raises NotTrusted, ModelUnreadable or SettingsError, and then the worker never becomes ready.
        """
        super().__init__(running.settings, KeyRing(running.keys))
        self.running = running
        running.verify()
        self.scorer = Scorer(running.model, max_rows=running.settings.max_rows, explain=running.settings.explain)
        self.metrics = Metrics(self.scorer.classes, binary=self.scorer.binary, shared=place.shared, slot=place.slot, slots=place.slots)
        self.log = Log(running.log, running.release)
        self.telemetry = Sender(place.notes[1]) if place.notes is not None else None
        self.record = running.settings.record if running.records is not None else 0.0
        if running.records is not None and self.record:
            self.records = Records(running.records, running.release, running.version, days=running.settings.record_days)
            self.log.also = self.records.write
        self.handoff = Handoff(self.metrics, self.keys, partial(self.respond, self.score_here))
        self.openapi = document_of(self.scorer, running.version, running.settings)
        self.access_log = running.settings.access_log
        self.encode = msgspec.json.Encoder().encode
        # what every answer says of the model, as the end of its JSON
        self.answer_end = b"," + self.encode({**self.scorer.constants, "model_version": running.version})[1:]
        self.own_headers = b"x-model-version: %b\r\nx-release: %b\r\n" % (running.version.encode(), running.release.encode())
        handlers = {
            "POST /score": self.score,
            "GET /healthz": self.health,
            "GET /readyz": self.readiness,
            "GET /metrics": self.measurements,
        }
        self.offer(handlers, self.openapi, json=("POST /score",))
        self.tick()

    def tick(self) -> None:
        super().tick()
        self.score_head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-store\r\n" + self.common
        self.metrics.cells[self.metrics.log_lost] = self.log.lost + (self.records.lost if self.record else 0)
        self.metrics.cells[self.metrics.memory] = resident_bytes()
        self.metrics.publish()
        self.handoff.look(self.clock)
        if self.telemetry is not None:
            self.telemetry.send()

    def drain(self, idle_s: float) -> None:
        """From now on every answer is the last of its connection; one that stays idle for `idle_s` is closed."""
        self.draining = True
        self.idle_s = idle_s
        self.handoff.follow(Order())

    def score(self, exchange: Exchange) -> None:
        """Answer, or let the candidate answer a share of the requests."""
        order = self.handoff.order
        if not (order.share and random() < order.share and self.handoff.hand_over(exchange)):  # noqa: S311 - a sample
            self.score_here(exchange)

    def score_here(self, exchange: Exchange) -> None:
        """The hot path: decode, validate, score, encode, write, count."""
        body = exchange.body()
        most = 0 if exchange.url is exchange.path else reasons_asked(exchange.url)
        shown, reasons = self.scorer.explained(body, most) if most else (self.scorer.score(body), {})
        fields = self.scorer.fields(shown)
        content = self.encode({**fields, **reasons} if reasons else fields)[:-1] + self.answer_end
        request_id = exchange.request_id()
        exchange.send(b"%bx-request-id: %b\r\ncontent-length: %d\r\n" % (self.score_head, request_id, len(content)), content)
        elapsed = time.perf_counter() - exchange.started
        self.metrics.count("score", 200, elapsed)
        self.metrics.scored(fields["result"], shown)
        if self.access_log and random() < self.access_log:  # noqa: S311 - a sample
            self.note("info", "request", exchange, 200, elapsed, rows=len(shown))
        if self.record and random() < self.record:  # noqa: S311 - a sample
            self.records.add(body, fields, request_id.decode())
        mirror = self.handoff.order.mirror
        if mirror and random() < mirror:  # noqa: S311 - a sample
            self.handoff.copy(exchange, fields)

    def readiness(self, exchange: Exchange) -> None:
        if self.draining:
            raise Problem("overloaded", "This worker is stopping; another one answers.", headers=[("retry-after", "1")], close=True)
        content = self.encode({"status": "ready", "release": self.running.release, "model_version": self.running.version})
        self.reply(exchange, 200, JSON, content)

    def measurements(self, exchange: Exchange) -> None:
        self.reply(exchange, 200, TEXT, self.metrics.text(self.running.release, self.running.version))

    # What is counted and told

    def sent(self, exchange: Exchange, status: int) -> None:
        name = exchange.route.name if exchange.route is not None else "other"
        self.metrics.count(name, status, time.perf_counter() - exchange.started)

    def refused(self, exchange: Exchange, problem: Problem) -> None:
        """Always logged, up to so many a second."""
        self.metrics.cells[self.metrics.kind_of[problem.kind]] += 1
        level: Level = "error" if problem.status >= 500 else "warning"
        elapsed = time.perf_counter() - exchange.started
        self.note(level, "refused", exchange, problem.status, elapsed, kind=problem.kind)

    def note(self, level: Level, event: str, exchange: Exchange, status: int, elapsed_s: float, **more: Any) -> None:
        """Tell of one request in the log, and to Application Insights where that is wanted."""
        method, path, request_id = exchange.method.decode("latin-1"), exchange.shown_path(), exchange.request_id().decode()
        fields = {"method": method, "path": path, "status": status, "ms": round(elapsed_s * 1000, 3), "request_id": request_id, **more}
        add = self.log.add if level == "info" else self.log.add_some
        add(level, event, **fields)
        if self.telemetry is not None:
            traceparent = exchange.headers.get(b"traceparent", b"").decode("latin-1")
            self.telemetry.add(TelemetryNote(time.time_ns(), elapsed_s, method, path, status, request_id, traceparent=traceparent, **more))

    def keys_fault(self, text: str) -> None:
        self.log.add("error", "keys", message=text)

    def fault(self, error: BaseException, **where: Any) -> None:
        """A fault of ours goes to the log, up to so many a second."""
        import traceback

        self.log.add_some("error", "crash", **where, trace=traceback.format_exception(error))


def reasons_asked(url: bytes) -> int:
    """The features that `explain` in the query of an address asks for; 0 where it is not there. Raises Problem."""
    asked = parse_qs(url.partition(b"?")[2].decode("latin-1"), keep_blank_values=True).get("explain")
    if asked is None:
        return 0
    if len(asked) != 1 or not re.fullmatch("[1-9][0-9]{0,3}", asked[0]):
        raise Problem("invalid-query")
    return int(asked[0])


def resident_bytes() -> int:
    """The memory that this process has now."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - a path would cost more than the read
        return int(file.read().split()[1]) * PAGE_BYTES
