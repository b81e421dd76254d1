"""Counters add up over workers, never fall, and are valid text for Prometheus."""

from mmap import mmap

from pushline.serving.metrics import SECONDS, Metrics
from pushline.serving.running import SLOT_BYTES


def value_of(metrics: Metrics, line: str) -> float:
    text = metrics.text("r1", "7").decode()
    return next(float(one.rpartition(" ")[2]) for one in text.splitlines() if one.startswith(line))


def test_workers_add_up_and_a_restarted_one_goes_on() -> None:
    shared = mmap(-1, 3 * SLOT_BYTES)
    first, second = (Metrics(("no", "yes"), binary=True, shared=shared, slot=slot, slots=3) for slot in (0, 1))
    for metrics, times in ((first, 3), (second, 4)):
        for _ in range(times):
            metrics.count("score", 200, 0.001)
            metrics.scored(["yes"], [0.7])
        metrics.publish()
    assert value_of(second, "pushline_rows_total") == 7
    again = Metrics(("no", "yes"), binary=True, shared=shared, slot=0, slots=3)
    again.scored(["no", "no"], [0.0, 1.0])
    assert value_of(again, "pushline_rows_total") == 9
    assert value_of(again, 'pushline_answers_total{class="yes"}') == 7


def test_buckets_are_cumulative_and_end_in_the_count() -> None:
    metrics = Metrics(("no", "yes"), binary=True)
    for elapsed in (0.00005, 0.003, 99.0):
        metrics.count("score", 200, elapsed)
    metrics.scored(["no", "yes", "yes"], [0.0, 0.5, 1.0])
    text = metrics.text('a"b\\c\n', "7").decode()
    buckets = [float(line.split()[-1]) for line in text.splitlines() if line.startswith("pushline_score_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert len(buckets) == len(SECONDS) + 1
    assert buckets[-1] == 3
    assert value_of(metrics, 'pushline_probability_bucket{le="0.95"}') == 2
    assert value_of(metrics, "pushline_probability_count") == 3
    assert 'release="a\\"b\\\\c\\n"' in text


def test_a_model_of_very_many_classes_still_counts() -> None:
    shared = mmap(-1, SLOT_BYTES)
    metrics = Metrics([str(number) for number in range(5_000)], binary=False, shared=shared)
    metrics.scored(["4999"], [[0.0]])
    assert value_of(metrics, 'pushline_answers_total{class="4999"}') == 1
