"""Missing evidence never opens the promotion gate: whatever a model answers, whatever rows there are."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.registry.decision import SEED, against_champion, against_floor, with_best, with_parts
from pushline.registry.measures import HIGHER_IS_BETTER, MEASURES, QUANTITY_MEASURES, figure, floor_of, random_figure, resampled
from pushline.results import Decision
from pushline.settings import Promotion

Array = np.ndarray[Any, Any]
RULES = Promotion(rounds=20)
NO_NUMBERS = (np.nan, np.inf, -np.inf, -0.5, 1.5)


def made(rows: int, seed: int) -> tuple[Array, Array, Array]:
    """Labels of two classes, and two models that know something of them."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    chances = [np.clip(0.5 + 0.3 * (labels - 0.5) + random.normal(size=rows) / 10, 0, 1) for _ in range(2)]
    first, second = (np.column_stack([1 - chance, chance]) for chance in chances)
    return labels, first, second


broken = st.tuples(
    st.integers(2, 60), st.integers(0, 99), st.sampled_from(NO_NUMBERS), st.lists(st.integers(0, 59), min_size=1), st.integers(0, 1)
)


@settings(deadline=None, max_examples=60)
@given(broken, st.sampled_from(sorted(MEASURES)), st.sampled_from(["challenger", "champion", "both"]), st.floats(-1, 1))
def test_an_answer_that_is_no_probability_is_never_accepted(case: Any, metric: str, whose: str, minimum_gain: float) -> None:
    rows, seed, value, places, column = case
    labels, challenger, champion = made(rows, seed)
    for name, answers in (("challenger", challenger), ("champion", champion)):
        if whose in (name, "both"):
            answers[[place % rows for place in places], column] = value
    rules = Promotion(rounds=20, minimum_gain=minimum_gain)
    assert not against_champion(metric, labels, challenger, champion, rules, version="1").accept
    if whose != "champion":
        assert not against_floor(metric, labels, challenger, rules, because="there is no champion yet").accept


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(2, 4), st.integers(0, 3), st.sampled_from(sorted(MEASURES)))
def test_rows_that_lack_a_class_decide_nothing(rows: int, classes: int, absent: int, metric: str) -> None:
    labels = np.array([label for label in np.arange(rows) % classes if label != absent % classes], dtype=np.int64)
    perfect = np.eye(classes)[labels]
    assert not against_floor(metric, labels, perfect, Promotion(rounds=20, skill=0), because="there is no champion yet").accept
    assert not against_champion(metric, labels, perfect, perfect, RULES, version="1").accept


@pytest.mark.parametrize("metric", sorted(MEASURES))
def test_answers_of_another_number_of_rows_decide_nothing(metric: str) -> None:
    labels, challenger, champion = made(30, 1)
    assert not against_champion(metric, labels, challenger, champion[:-1], RULES, version="1").accept


@settings(deadline=None, max_examples=40)
@given(st.integers(4, 200), st.integers(0, 999), st.sampled_from(sorted(MEASURES)), st.floats(-0.2, 0.2))
def test_whoever_is_accepted_has_the_figures_for_it(rows: int, seed: int, metric: str, minimum_gain: float) -> None:
    labels, challenger, champion = made(rows, seed)
    decision = against_champion(metric, labels, challenger, champion, Promotion(rounds=20, minimum_gain=minimum_gain), version="1")
    evidence = decision.evidence
    assert all(np.isfinite(value) for value in evidence.values() if isinstance(value, float))
    gain, high = float(evidence["gain"]), float(evidence["gain_high"])
    assert decision.accept == (gain >= minimum_gain and high >= 0) or abs(gain - minimum_gain) < 1e-5


def decided(accept: bool, **evidence: float) -> Decision:
    return Decision(
        accept=accept, reason="so", evidence={"challenger": 0.5, "champion": 0.5, "champion_version": "1", "rows": 9, **evidence}
    )


FIGURES = {"gain": 0.0, "gain_low": -0.1, "gain_high": 0.1}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_old_rows_and_the_best_of_before_can_only_close_the_gate(whole: bool, old: bool) -> None:
    judged = with_parts(decided(whole, **FIGURES), {"old": decided(old, **FIGURES), "new": decided(False)})
    assert judged.accept == (whole and old)
    assert with_best(decided(whole, **FIGURES), decided(old, **FIGURES)).accept == (whole and old)


def test_old_rows_that_can_not_be_judged_close_the_gate() -> None:
    assert not with_parts(decided(True, **FIGURES), {"old": decided(False), "new": decided(True, **FIGURES)}).accept


@pytest.mark.parametrize("metric", sorted(MEASURES))
def test_the_floor_wants_the_skill_and_that_it_is_no_chance(metric: str) -> None:
    labels, challenger, _ = made(400, 3)
    few = [1, 2, 3, 4]
    because = "there is no champion yet"
    accepted = against_floor(metric, labels, challenger, Promotion(rounds=50, skill=0.05), because=because)
    unskilled = against_floor(metric, labels, challenger, Promotion(rounds=50, skill=0.999), because=because)
    by_chance = against_floor(metric, labels[few], np.full((4, 2), 0.5), Promotion(rounds=50, skill=0), because=because)
    assert [decision.accept for decision in (accepted, unskilled, by_chance)] == [True, False, False]
    for decision in (accepted, unskilled):
        seen = decision.evidence
        assert set(seen) == {"metric", "challenger", "challenger_low", "challenger_high", "floor", "random", "rows", "rounds"}
        assert float(seen["challenger_low"]) <= float(seen["challenger"]) <= float(seen["challenger_high"])
        assert (seen["metric"], seen["rows"], seen["rounds"]) == (metric, 400, 50)
        assert decision.reason.startswith(because)


@pytest.mark.parametrize("metric", sorted(MEASURES))
def test_the_reason_says_where_two_models_answer_alike(metric: str) -> None:
    labels, challenger, champion = made(200, 4)
    alike = against_champion(metric, labels, challenger, challenger.copy(), RULES, version="7")
    other = against_champion(metric, labels, challenger, champion, Promotion(rounds=20, minimum_gain=-0.5), version="7")
    assert ["answers every row" in decision.reason for decision in (alike, other)] == [True, False]
    assert "version 7" in alike.reason
    for decision in (alike, other):
        assert float(decision.evidence["gain_low"]) <= float(decision.evidence["gain"]) <= float(decision.evidence["gain_high"])


SPOKEN = {
    "average_precision": "average precision", "roc_auc": "ROC AUC", "accuracy": "accuracy", "log_loss": "log loss",
    "rmse": "RMSE", "mae": "MAE", "r2": "R²", "mape": "MAPE",
}  # fmt: skip
IN_UNITS = {"rmse", "mae"}
EVERY = sorted([*MEASURES, *QUANTITY_MEASURES])


def models(metric: str, rows: int = 300) -> tuple[Array, Array, Array]:
    """Labels and two models, of classes or of a quantity as the metric wants them; the first is the better one."""
    random = np.random.default_rng(8)
    if metric in MEASURES:
        labels, _, _ = made(rows, 8)
        chances = [np.clip(0.5 + 0.6 * (labels - 0.5) + noise * random.normal(size=rows), 0.01, 0.99) for noise in (0.25, 0.6)]
        return labels, *(np.column_stack([1 - chance, chance]) for chance in chances)
    labels = 1000 + 300 * random.normal(size=rows)
    return labels, *((labels + noise * random.normal(size=rows))[:, None] for noise in (50, 150))


def digits(metric: str, value: float) -> str:
    return f"{value:,.4g}" if metric in IN_UNITS else f"{value:.3f}"


def unit_of(metric: str, labels: Array) -> float:
    if metric not in IN_UNITS:
        return 1.0
    return float(np.sqrt(np.mean((labels - labels.mean()) ** 2)) if metric == "rmse" else np.mean(np.abs(labels - np.median(labels))))


@pytest.mark.parametrize("better", [True, False])
@pytest.mark.parametrize("metric", EVERY)
def test_a_decision_against_the_champion_says_what_was_computed(metric: str, better: bool) -> None:
    labels, challenger, champion = models(metric)
    if not better:
        challenger, champion = champion, challenger
    rules = Promotion(rounds=50, confidence=0.8)
    decision = against_champion(metric, labels, challenger, champion, rules, version="7", rows="old rows", who="the best")
    new, old = figure(metric, labels, challenger), figure(metric, labels, champion)
    sign, unit = 1 if HIGHER_IS_BETTER[metric] else -1, unit_of(metric, labels)
    seen = resampled(metric, labels, [challenger, champion], rounds=50, seed=SEED)
    low, high = np.percentile(sign * (seen[0] - seen[1]) / unit, [10, 90])
    assert decision.evidence == {
        "metric": metric,
        "challenger": round(new, 6),
        "champion": round(old, 6),
        "champion_version": "7",
        "gain": pytest.approx(sign * (new - old) / unit, abs=6e-7),
        "gain_low": pytest.approx(low, abs=6e-7),
        "gain_high": pytest.approx(high, abs=6e-7),
        "minimum_gain": -0.005,
        "rows": 300,
        "rounds": 50,
    }
    assert all(value == round(value, 6) for value in decision.evidence.values() if isinstance(value, float))
    assert decision.accept is better
    verdict = "better than the best beyond chance" if better else "worse than the best beyond chance"
    assert decision.reason == (
        f"{verdict}: {SPOKEN[metric]} {digits(metric, new)} is {digits(metric, abs(new - old))} {'above' if new > old else 'below'} "
        f"the best's {digits(metric, old)} (version 7) on the 300 rows of the old rows, interval of the gain {low:+.3f} to {high:+.3f}"
        f"{' of the error of a prediction that knows nothing' if metric in IN_UNITS else ''}"
    )


@pytest.mark.parametrize("metric", EVERY)
def test_equal_models_pass_unless_progress_is_wanted(metric: str) -> None:
    labels, challenger, _ = models(metric)
    alike = f"it answers every row of the hold-out as the champion does (version 7, {SPOKEN[metric]} "
    alike += digits(metric, figure(metric, labels, challenger)) + ")"
    for minimum_gain, accept, verdict in (
        (0.0, True, "no worse than the champion"),
        (0.01, False, "less than the minimum gain of +0.010"),
    ):
        rules = Promotion(rounds=20, minimum_gain=minimum_gain)
        decision = against_champion(metric, labels, challenger, challenger.copy(), rules, version="7")
        assert (decision.accept, decision.reason) == (accept, f"{verdict}: {alike}")
        assert [decision.evidence[name] for name in ("gain", "gain_low", "gain_high")] == [0, 0, 0]


@pytest.mark.parametrize("metric", EVERY)
def test_a_decision_against_the_floor_says_what_was_computed(metric: str) -> None:
    labels, challenger, _ = models(metric)
    value, at_random = figure(metric, labels, challenger), random_figure(metric, labels, challenger.shape[1])
    seen = resampled(metric, labels, [challenger], rounds=50, seed=SEED)[0]
    low, high = np.percentile(seen, [10, 90])
    for skill, accept in ((0.1, True), (0.9999, False)):
        floor = floor_of(metric, at_random, skill)
        decision = against_floor(metric, labels, challenger, Promotion(rounds=50, confidence=0.8, skill=skill), because="it is the first")
        assert decision.evidence == {
            "metric": metric,
            "challenger": round(value, 6),
            "challenger_low": round(float(low), 6),
            "challenger_high": round(float(high), 6),
            "floor": round(floor, 6),
            "random": round(at_random, 6),
            "rows": 300,
            "rounds": 50,
        }
        assert decision.accept is accept
        start = "it is the first; " if accept else "it is the first, so the floor decides, and it was not reached: "
        nothing = "a random score" if metric in MEASURES else "knowing nothing"
        figures = [digits(metric, one) for one in (value, floor, at_random)]
        assert decision.reason == f"{start}{SPOKEN[metric]} is {figures[0]} on 300 rows, the floor {figures[1]}, {nothing} {figures[2]}"


@pytest.mark.parametrize("metric", sorted(MEASURES))
def test_a_figure_above_the_floor_that_may_be_chance_is_not_enough(metric: str) -> None:
    random = np.random.default_rng(3)
    labels = np.arange(12) % 2
    chance = np.clip(0.5 + 0.1 * (labels - 0.5) + 0.12 * random.normal(size=12), 0.01, 0.99)
    decision = against_floor(metric, labels, np.column_stack([1 - chance, chance]), Promotion(rounds=200, skill=0), because="so")
    evidence = decision.evidence
    sign = 1 if HIGHER_IS_BETTER[metric] else -1
    worst = evidence["challenger_low" if sign > 0 else "challenger_high"]
    assert sign * (float(evidence["challenger"]) - float(evidence["floor"])) >= 0  # the figure itself has reached it
    assert sign * (float(worst) - float(evidence["random"])) <= 0
    assert not decision.accept
    low, high = (digits(metric, float(evidence[name])) for name in ("challenger_low", "challenger_high"))
    assert decision.reason.endswith(f", and its interval {low} to {high} reaches the random score: too few rows to tell")


def test_what_decides_nothing_says_why() -> None:
    labels, good, _ = made(30, 1)
    broken = good.copy()
    broken[[3, 17], 0] = np.nan
    quantity = np.arange(2000.0)
    numbers = quantity[:, None].copy()
    numbers[:1500] = np.inf
    cases: list[tuple[str, str, Array, Array]] = [
        ("there is no row to judge by", "accuracy", labels[:0], good[:0]),
        ("there is no row to judge by", "rmse", quantity[:0], numbers[:0]),
        ("2 of the 3 classes have no row to judge by", "accuracy", np.zeros(4, np.int64), np.full((4, 3), 0.2)),
        ("a model gives no probability for 2 of 30 rows", "accuracy", labels, broken),
        ("a model gives no probability for 30 of 30 rows", "accuracy", labels, good[:-1]),
        ("a model gives no number for 1,500 of 2,000 rows", "rmse", quantity, numbers),
    ]
    for fault, metric, rows, answers in cases:
        decision = against_floor(metric, rows, answers, RULES, because="there is no champion yet")
        assert (decision.accept, decision.reason) == (False, f"nothing can be decided: {fault}")
        assert decision.evidence == {"metric": metric, "rows": len(rows)}
    assert against_champion("accuracy", labels, good, broken, RULES, version="1").reason.endswith("for 2 of 30 rows")


def test_one_class_or_none_is_no_quantity_and_probabilities_may_be_0_and_1() -> None:
    labels, _, _ = made(100, 1)
    certain = np.eye(2)[labels]
    assert against_floor("accuracy", labels, certain, RULES, because="so").accept
    assert against_champion("accuracy", labels, certain, 1 - certain, RULES, version="1").accept
    one_value = np.full(50, 5.0)  # of a quantity, whose error of knowing nothing is 0
    assert against_champion("rmse", one_value, one_value[:, None], one_value[:, None] + 1, RULES, version="1").evidence["gain"] == 1


def test_the_parts_of_the_rows_say_what_they_decided() -> None:
    whole = decided(True, **FIGURES)
    old = Decision(accept=False, reason="worse", evidence={**whole.evidence, "gain": -0.0514, "rows": 1234})
    new = Decision(accept=True, reason="better", evidence={**whole.evidence, "gain": 0.25})
    figures = "-0.051 on the 1,234 old rows, +0.250 on the 9 new rows"
    judged = with_parts(whole, {"old": old, "new": new})
    assert judged.reason == f"it costs the rows that the champion knows: worse; {figures}"
    assert judged.evidence["old_gain"] == -0.0514
    assert set(judged.evidence) == {*whole.evidence, *(f"{part}_{name}" for part in ("old", "new") for name in (
        "challenger", "champion", "gain", "gain_low", "gain_high", "rows"))}  # fmt: skip
    assert with_parts(whole, {"new": new}).reason == "so; +0.250 on the 9 new rows"
    assert with_parts(whole, {"new": decided(False)}) == whole
    blind = with_parts(whole, {"old": decided(False), "new": new})
    assert blind.reason == "it can't be held against the rows that the champion knows: so; +0.250 on the 9 new rows"
    refused = with_parts(decided(False, **FIGURES), {"old": old})
    assert refused.reason == "so; -0.051 on the 1,234 old rows"


def test_the_best_of_before_says_what_it_decided() -> None:
    best = Decision(accept=False, reason="it lost", evidence={"champion_version": "3", "gain": -0.2})
    whole = decided(True, **FIGURES)
    held = with_best(whole, best)
    assert held.reason == "small losses would add up: it lost"
    assert held.evidence == {**whole.evidence, "best_version": "3", "best_gain": -0.2}
    assert with_best(decided(False, **FIGURES), best).reason == "so"
