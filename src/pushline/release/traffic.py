"""What a release has counted of the requests it was asked, read from its `/metrics`."""

import re
from typing import Any

from msgspec import Struct

SAMPLE = re.compile(r"^(?:pushline_|process_)(\w+?)(?:\{(.*)\})? ([0-9.e+]+)$", re.MULTILINE)
REFUSED = ("400", "422")  # for what a request holds: whoever has no key, or sends too much, says nothing about the model
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class RequestCounts(Struct, frozen=True, kw_only=True):
    """Scoring requests of one release, each figure a count that only grows while its process lives."""

    requests: int = 0  # that a model was asked
    failures: int = 0  # of these: refused for what the rows hold, failed, or never answered
    rows: int = 0
    times: dict[float, int] = {}  # of requests answered within so many seconds
    answers: dict[str, int] = {}  # of rows, by the class answered
    scores: dict[float, int] = {}  # of rows, by the positive class's probability at most; none but of two classes
    memory: int = 0  # bytes that its workers have now: the one figure that falls too
    handed_back: int = 0  # that the candidate was sent and did not answer
    compared: int = 0  # requests whose copy both answered
    flipped: float = 0  # of these, those whose answers differ clearly

    def since(self, before: "RequestCounts") -> "RequestCounts":
        """What was counted since `before`."""
        changed: dict[str, Any] = {}
        for name in self.__struct_fields__:
            now, then = getattr(self, name), getattr(before, name)
            changed[name] = {key: now[key] - then.get(key, 0) for key in now} if isinstance(now, dict) else now - then
        return RequestCounts(**changed)


def counts_of(metrics: str) -> RequestCounts:
    """The counts in the exposition format of Prometheus."""
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for name, labels, value in SAMPLE.findall(metrics):
        values.setdefault(name, {})[tuple(text for _, text in LABEL.findall(labels))] = float(value)

    def of(name: str) -> dict[str, int]:
        return {labels[-1] if labels else "": int(value) for labels, value in values.get(name, {}).items()}

    scored = {status: int(value) for (route, status), value in values.get("requests_total", {}).items() if route == "score"}
    failed = sum(value for status, value in scored.items() if status in REFUSED or status >= "500")
    return RequestCounts(
        requests=scored.get("200", 0) + failed,
        failures=failed,
        rows=of("rows_total").get("", 0),
        times={float(bound): count for bound, count in of("score_seconds_bucket").items()},
        answers=of("answers_total"),
        scores={float(bound): count for bound, count in of("probability_bucket").items()},
        memory=of("resident_memory_bytes").get("", 0),
        handed_back=of("handed_back_total").get("", 0),
        compared=of("compared_total").get("", 0),
        flipped=of("flipped_total").get("", 0),
    )
