"""Requests and counters to Application Insights, from a process of its own.

Workers hand over what they note at every tick, as datagrams that are dropped where nobody takes them. So whatever the
exporter does (loading for a second, retrying against an endpoint that is slow, refuses or is dead) costs no request anything.
"""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from pushline.serving.metrics import Metrics
from pushline.serving.model_folder import read_scoring
from pushline.serving.running import Place, Running

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation

NOTES_A_DATAGRAM = 40
NOTES_A_TICK = 400
SPANS_EVERY_MS = "2000"
COUNTERS_EVERY_MS = "30000"
END_S = 3.0


class TelemetryNote(Struct, frozen=True, array_like=True):
    """What is told of one request."""

    ended_ns: int
    elapsed_s: float
    method: str
    path: str
    status: int
    request_id: str
    rows: int = 0
    kind: str = ""  # of the problem
    traceparent: str = ""


class Sender:
    """A worker's side: it never waits and never fails."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.end.setblocking(False)
        self.notes: list[TelemetryNote] = []
        self.lost = 0

    def add(self, note: TelemetryNote) -> None:
        if len(self.notes) < NOTES_A_TICK:
            self.notes.append(note)
        else:
            self.lost += 1

    def send(self) -> None:
        """Hand over what was noted since the last tick."""
        notes, self.notes = self.notes, []
        for start in range(0, len(notes), NOTES_A_DATAGRAM):
            part = notes[start : start + NOTES_A_DATAGRAM]
            try:
                self.end.send(msgspec.json.encode(part))
            except OSError:
                self.lost += len(part)


def export(running: Running, place: Place) -> int:
    """The life of the telemetry process: until its supervisor says so or is gone."""
    # The exporter would report its own health to its maker.
    os.environ["APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL"] = "true"
    os.environ.setdefault("OTEL_BSP_SCHEDULE_DELAY", SPANS_EVERY_MS)
    os.environ.setdefault("OTEL_METRIC_EXPORT_INTERVAL", COUNTERS_EVERY_MS)
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import set_tracer_provider

    said = {"service.name": "pushline", "service.version": running.version, "pushline.release": running.release}
    resource = Resource.create({**said, "service.instance.id": f"{socket.gethostname()}-{os.getpid()}"})
    tracers = TracerProvider(resource=resource)
    set_tracer_provider(tracers)  # where the exporter looks for the resource
    tracers.add_span_processor(BatchSpanProcessor(AzureMonitorTraceExporter(disable_offline_storage=True)))
    reader = PeriodicExportingMetricReader(AzureMonitorMetricExporter(disable_offline_storage=True))
    meters = MeterProvider(resource=resource, metric_readers=[reader])
    scoring = read_scoring(running.model)
    binary = scoring.threshold is not None and len(scoring.classes) == 2
    watch_counters(meters, Metrics(scoring.classes, binary=binary, shared=place.shared, slot=place.slot, slots=place.slots))
    place.lifeline.send(b"ready\n")
    tracer = tracers.get_tracer("pushline")
    assert place.notes is not None
    for note in notes_from(place.notes[0], place.lifeline):
        with contextlib.suppress(Exception):  # one strange note is no reason to lose the others
            span_of(tracer, note, running.release)
    with contextlib.suppress(Exception):
        tracers.force_flush(int(END_S * 1000))
        meters.force_flush(int(END_S * 1000))
    return 0


def notes_from(receiver: socket.socket, lifeline: socket.socket) -> Iterator[TelemetryNote]:
    """What the workers tell, until the supervisor says something or is gone."""
    import selectors

    receiver.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(receiver, selectors.EVENT_READ)
    selector.register(lifeline, selectors.EVENT_READ)
    decode = msgspec.json.Decoder(list[TelemetryNote]).decode
    while True:
        for key, _ in selector.select():
            if key.fileobj is lifeline:
                return
            with contextlib.suppress(BlockingIOError, msgspec.DecodeError):
                yield from decode(receiver.recv(65_536))


def span_of(tracer: Any, note: TelemetryNote, release: str) -> None:
    """A server span with the times of the request; a client's traceparent makes it part of the client's trace."""
    from opentelemetry.trace import SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": note.traceparent}) if note.traceparent else None
    attributes = {
        "http.request.method": note.method,
        "url.scheme": "http",
        "url.path": note.path,
        "http.route": note.path,
        "http.response.status_code": note.status,
        "pushline.release": release,
        "pushline.request_id": note.request_id,
        "pushline.rows": note.rows,
    }
    if note.kind:
        attributes["pushline.problem"] = note.kind
    started_ns = note.ended_ns - int(note.elapsed_s * 1e9)
    name = f"{note.method} {note.path}"
    span = tracer.start_span(name, context=parent, kind=SpanKind.SERVER, attributes=attributes, start_time=started_ns)
    if note.status >= 500:
        span.set_status(StatusCode.ERROR)
    span.end(end_time=note.ended_ns)


def watch_counters(meters: Any, metrics: Metrics) -> None:
    """The counters that all workers share, as observable counters."""
    from opentelemetry.metrics import Observation

    def requests(_: "CallbackOptions") -> Iterable["Observation"]:
        cells = metrics.total()
        for (route, status), cell in metrics.cell_of.items():
            if cells[cell]:
                yield Observation(int(cells[cell]), {"route": route, "status": status})

    def rows(_: "CallbackOptions") -> Iterable["Observation"]:
        yield Observation(int(metrics.total()[metrics.rows]))

    meter = meters.get_meter("pushline")
    meter.create_observable_counter("pushline.requests", callbacks=[requests], description="requests answered")
    meter.create_observable_counter("pushline.rows", callbacks=[rows], description="rows scored")
