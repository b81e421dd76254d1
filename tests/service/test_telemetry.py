"""Telemetry leaves the service, or is lost; it never costs a request."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from service_made import Service, service_of

QUEUE_FULL = "Queue full, dropping Span"  # what the SDK says once its bounded queue is full

pytestmark = pytest.mark.slow


class Sink(ThreadingHTTPServer):
    """What Application Insights' ingestion looks like from here."""

    daemon_threads = True

    def __init__(self, *, status: int = 200, held: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.status = status
        self.answers = threading.Event()
        if not held:
            self.answers.set()
        self.items: list[dict[str, Any]] = []
        self.requests = 0


class Taking(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1
        self.server.answers.wait(60)
        items = json.loads(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
        if self.server.status == 200:
            self.server.items += items
        answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items) * (self.server.status == 200), "errors": []}).encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def sink_of(**how: Any) -> Iterator[Sink]:
    with Sink(**how) as sink:
        thread = threading.Thread(target=sink.serve_forever)
        thread.start()
        try:
            yield sink
        finally:
            sink.shutdown()
            thread.join()


def environment(port: int) -> dict[str, str]:
    place = f"http://127.0.0.1:{port}/"
    connection = f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint={place};LiveEndpoint={place}"
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": connection,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "PUSHLINE_SERVING__ACCESS_LOG": "1",
    }


def telemetry_pid(service: Service) -> int | None:
    return next((line["fields"]["pid"] for line in service.log() if line["event"] == "telemetry"), None)


def until(true: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_requests_and_counters_arrive(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with (
        sink_of() as sink,
        service_of(model, tmp_path, "--release", "r9", "--model-version", "9", env=environment(sink.server_address[1])) as service,
    ):
        until(lambda: telemetry_pid(service))
        body = json.dumps({"data": [row]}).encode()
        assert service.request(body, f"traceparent: 00-{trace}-00f067aa0ba902b7-01", "x-request-id: mine").status == 200
        assert service.request(b"nonsense").status == 400

        def of(kind: str) -> list[dict[str, Any]]:
            return [item["data"]["baseData"] | {"tags": item["tags"]} for item in sink.items if item["data"]["baseType"] == kind]

        def names() -> set[str]:
            return {metric["name"] for data in of("MetricData") for metric in data["metrics"]}

        until(lambda: len([r for r in of("RequestData") if r["name"] == "POST /score"]) >= 2 and "pushline.rows" in names())
        scored = next(r for r in of("RequestData") if r["properties"].get("pushline.request_id") == "mine")
        assert scored["responseCode"] == "200"
        assert scored["success"] is True
        assert scored["tags"]["ai.operation.id"] == trace
        refused = next(r for r in of("RequestData") if r["responseCode"] == "400")
        assert refused["properties"]["pushline.problem"] == "malformed-json"
        assert {"pushline.requests", "pushline.rows"} <= names()
        assert service.key not in json.dumps(sink.items)


@pytest.mark.parametrize("how", ["slow", "failing", "refusing", "dead"])
def test_a_sink_in_trouble_costs_no_request(model: Path, tmp_path: Path, row: dict[str, Any], how: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if how == "dead":  # takes connections and never answers
            silent.listen(100)
        with sink_of(status=500 if how == "failing" else 200, held=how == "slow") as sink:
            port = sink.server_address[1] if how in ("slow", "failing") else silent.getsockname()[1]
            with service_of(model, tmp_path, env=environment(port)) as service:
                service.expected += (QUEUE_FULL,)
                until(lambda: telemetry_pid(service))
                asked = 0
                while asked < 300 or (how in ("slow", "failing") and not sink.requests):  # a sink that is waited for would end this late
                    assert service.score([row]).status == 200
                    asked += 1
                assert not sink.items  # all of them were answered while nothing was taken
                service.process.terminate()
                assert service.process.wait(60) == 0
                sink.answers.set()


def test_a_telemetry_process_that_dies_costs_no_request(model: Path, tmp_path: Path, row: dict[str, Any]) -> None:
    import os
    import signal

    with sink_of() as sink, service_of(model, tmp_path, env=environment(sink.server_address[1])) as service:
        until(lambda: telemetry_pid(service))
        os.kill(telemetry_pid(service) or 0, signal.SIGKILL)
        until(lambda: any(line["event"] == "telemetry-died" for line in service.log()))
        for _ in range(300):
            assert service.score([row]).status == 200
        assert len(service.ask(do="status")["workers"]) == 1
