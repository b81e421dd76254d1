import inspect
import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushline.release.load import LoadMeasurement, LoadResult, breaches, percentile, summarize
from pushline.results import Breach
from pushline.settings import Load

SLO = Load(rate=50, seconds=10, failures=0.01, achieved=0.9, p95_ms=100, p99_ms=250)
GOOD = LoadResult(
    offered_rps=50,
    achieved_rps=49.8,
    seconds=10,
    requests=500,
    failures=2,
    errors={"status 503": 2},
    p50_ms=2,
    p95_ms=20,
    p99_ms=60,
    max_ms=90,
    timeline=(),
)


def seen_with(**changes: float) -> LoadResult:
    return msgspec.structs.replace(GOOD, **changes)


FIGURES = ("offered_rps", "achieved_rps", "requests", "failures", "p95_ms", "p99_ms")
# Each figure as it should be, at its limit, beyond it, and as no figure is.
VALUES = st.sampled_from([0.0, 1.0, 5.0, 45.0, 50.0, 100.0, 250.0, 500.0, -1.0, math.nan, math.inf, -math.inf]) | st.floats()


def opens(gate: Callable[[LoadResult, Load], Sequence[object]], figures: dict[str, float]) -> bool:
    """Whether the gate lets figures pass that are not within the SLO."""
    sound = all(0 <= value < math.inf for value in figures.values()) and figures["requests"] > 0 and figures["offered_rps"] > 0
    kept = (
        sound
        and figures["failures"] / figures["requests"] <= SLO.failures
        and SLO.achieved <= figures["achieved_rps"] / figures["offered_rps"] < math.inf
        and figures["p95_ms"] <= SLO.p95_ms
        and figures["p99_ms"] <= SLO.p99_ms
    )
    return not kept and not gate(seen_with(**figures), SLO)


@settings(max_examples=400, suppress_health_check=[HealthCheck.differing_executors])
@given(st.dictionaries(st.sampled_from(FIGURES), VALUES))
def test_no_figure_opens_the_gate_but_one_within_its_limit(changed: dict[str, float]) -> None:
    assert not opens(breaches, {name: float(getattr(GOOD, name)) for name in FIGURES} | changed)


@pytest.mark.parametrize(
    ("said", "instead", "figures"),
    [
        ("0 <= failed <= slo.failures", "not failed > slo.failures", {"failures": math.nan}),
        ("0 <= failed <= slo.failures", "failed <= slo.failures", {"failures": -1.0}),
        ("math.inf else 1.0", "math.inf else 0.0", {"requests": 0.0}),
        ("0 < seen.requests < math.inf", "0 < seen.requests", {"requests": math.inf}),
        ("seen.offered_rps > 0 else 0.0", "seen.offered_rps > 0 else 1.0", {"offered_rps": math.nan}),
        ("slo.achieved <= achieved < math.inf", "slo.achieved <= achieved", {"achieved_rps": math.inf}),
        ("slo.achieved <= achieved < math.inf", "not achieved < slo.achieved", {"achieved_rps": math.nan}),
        ("0 <= seen.p95_ms <= slo.p95_ms", "not seen.p95_ms > slo.p95_ms", {"p95_ms": math.nan}),
        ("0 <= seen.p99_ms <= slo.p99_ms", "seen.p99_ms <= slo.p99_ms", {"p99_ms": -math.inf}),
    ],
)
def test_the_gate_with_one_condition_changed_would_be_noticed(said: str, instead: str, figures: dict[str, float]) -> None:
    source = inspect.getsource(breaches)
    assert source.count(said) == 1
    changed: dict[str, Any] = {"math": math, "Breach": Breach, "LoadResult": LoadResult, "Load": Load}
    exec(source.replace(said, instead), changed)
    whole = {name: float(getattr(GOOD, name)) for name in FIGURES} | figures
    assert opens(changed["breaches"], whole)
    assert not opens(breaches, whole)


def test_a_release_within_its_promises_breaks_none() -> None:
    assert breaches(GOOD, SLO) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"failures": 6}, "share of failed requests"),
        ({"achieved_rps": 44.0}, "achieved share of the offered rate"),
        ({"p95_ms": 100.1}, "p95 in ms"),
        ({"p99_ms": 251.0}, "p99 in ms"),
        ({"p99_ms": float("nan")}, "p99 in ms"),
    ],
)
def test_each_promise_that_is_not_kept_is_a_breach(changes: dict[str, float], name: str) -> None:
    assert [breach.name for breach in breaches(seen_with(**changes), SLO)] == [name]


def test_a_dead_server_breaks_its_promises_however_fast_it_refuses() -> None:
    dead = seen_with(failures=500, achieved_rps=0.0, p50_ms=0, p95_ms=0, p99_ms=0, max_ms=0)
    assert {breach.name for breach in breaches(dead, SLO)} == {"share of failed requests", "achieved share of the offered rate"}


def test_no_request_at_all_is_no_pass() -> None:
    nothing = seen_with(requests=0, failures=0, achieved_rps=0.0, p95_ms=0, p99_ms=0)
    assert {breach.name for breach in breaches(nothing, SLO)} == {"share of failed requests", "achieved share of the offered rate"}


def test_a_figure_at_its_limit_is_within_it() -> None:
    assert breaches(seen_with(failures=5, achieved_rps=45.0, p95_ms=100.0, p99_ms=250.0), SLO) == []


def steady(rate: int, seconds: int, ms: float = 4.0) -> list[tuple[float, float, str]]:
    return [(1000.0 + second + step / rate, ms, "") for second, step in product(range(seconds), range(rate))]


def test_figures_are_of_the_seconds_that_count() -> None:
    early, late = (999.0, 900.0, "status 500"), (1010.5, 900.0, "status 500")
    found = summarize(LoadMeasurement(begun=(1000.0,), requests=(early, *steady(50, 10), late)), rate=50, seconds=10)
    assert (found.requests, found.failures, found.achieved_rps, found.max_ms) == (500, 0, 50.0, 4.0)
    assert [(part.second, part.requests) for part in found.timeline] == [(second, 50) for second in range(10)]


def test_failures_count_by_kind_and_not_as_achieved() -> None:
    requests = steady(10, 2)
    requests[0] = (1000.0, 1.0, "status 503")
    requests[1] = (1000.1, 1.0, "timed out")
    requests[2] = (1000.2, 1.0, "status 503")
    found = summarize(LoadMeasurement(begun=(1000.0,), requests=tuple(requests)), rate=10, seconds=2)
    assert found.errors == {"status 503": 2, "timed out": 1}
    assert (found.failures, found.achieved_rps) == (3, 8.5)
    assert (found.timeline[0].failures, found.timeline[1].failures) == (3, 0)


def test_a_stalled_second_shows_in_the_timeline() -> None:
    requests = [entry for entry in steady(10, 3) if not 1001.0 <= entry[0] < 1002.0]
    found = summarize(LoadMeasurement(begun=(1000.0,), requests=tuple(requests)), rate=10, seconds=3)
    assert [part.requests for part in found.timeline] == [10, 0, 10]


def test_percentiles_are_times_that_were_seen() -> None:
    times = [float(n) for n in range(1, 101)]
    assert [percentile(times, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) == 0.0
