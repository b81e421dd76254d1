"""Missing evidence never opens the promotion gate: whatever a model answers, whatever rows there are."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.registry.decision import against_champion, against_floor, with_best, with_parts
from pushline.registry.measures import MEASURES
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
