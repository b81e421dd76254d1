import numpy as np
import pytest

from pushline.errors import SettingsError
from pushline.training.metrics import at_threshold
from pushline.training.threshold import choose_threshold, parse_objective


def example(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = (random.random(400) < 0.2).astype(np.int64)
    return labels, np.clip(np.round(0.2 + 0.3 * labels + random.normal(0, 0.15, 400), 3), 0.001, 0.999).astype(np.float32)


def every_threshold(labels: np.ndarray, scores: np.ndarray) -> list[dict[str, float]]:
    return [at_threshold(labels, scores, level) for level in np.unique(scores)]


def fbeta(seen: dict[str, float], beta: float) -> float:
    below = beta**2 * seen["precision"] + seen["recall"]
    return (1 + beta**2) * seen["precision"] * seen["recall"] / below if below else 0.0


@pytest.mark.parametrize(("objective", "beta"), [("f1", 1.0), ("fbeta:2", 2.0), ("fbeta:0.5", 0.5)])
def test_the_largest_f_score_of_all_thresholds_is_chosen(objective, beta):
    labels, scores = example()
    chosen = choose_threshold(labels, scores, parse_objective(objective))
    best = max(fbeta(seen, beta) for seen in every_threshold(labels, scores))
    assert fbeta(at_threshold(labels, scores, chosen.threshold), beta) == pytest.approx(best)


@pytest.mark.parametrize(
    ("objective", "wanted", "other"), [("precision:0.6", "precision", "recall"), ("recall:0.8", "recall", "precision")]
)
def test_a_stated_minimum_is_kept_and_the_other_figure_is_the_largest(objective, wanted, other):
    labels, scores = example()
    chosen = choose_threshold(labels, scores, parse_objective(objective))
    seen = at_threshold(labels, scores, chosen.threshold)
    minimum = float(objective.split(":")[1])
    assert seen[wanted] >= minimum
    assert seen[other] == pytest.approx(max(one[other] for one in every_threshold(labels, scores) if one[wanted] >= minimum))
    assert (chosen.precision, chosen.recall) == (pytest.approx(seen["precision"]), pytest.approx(seen["recall"]))


@pytest.mark.parametrize("price", [0.2, 1.0, 5.0])
def test_no_threshold_is_cheaper_than_the_one_for_a_stated_cost(price):
    labels, scores = example()

    def cost(level: float) -> float:
        said = scores >= level
        return price * np.sum(~said & (labels == 1)) + np.sum(said & (labels == 0))

    chosen = choose_threshold(labels, scores, parse_objective(f"cost:{price}"))
    assert cost(chosen.threshold) == min(map(cost, np.unique(scores)))
    assert f"costs {price:g} times" in chosen.note


def test_a_minimum_that_nothing_reaches_is_said_and_the_nearest_is_taken():
    labels = np.array([1, 0] * 20)
    chosen = choose_threshold(labels, np.linspace(0.1, 0.9, 40).astype(np.float32), parse_objective("precision:0.99"))
    assert not chosen.reached
    assert "no threshold reaches a precision of 0.99" in chosen.note


def test_the_threshold_lies_between_two_scores_and_is_a_float32():
    labels, scores = example()
    threshold = choose_threshold(labels, scores, parse_objective("f1")).threshold
    assert threshold not in scores
    assert float(np.float32(threshold)) == threshold


@pytest.mark.parametrize(
    "text",
    [
        "f2",
        "fbeta",
        "fbeta:0",
        "fbeta:x",
        "fbeta:inf",
        "fbeta:nan",
        "fbeta:1e200",
        "precision",
        "precision:0",
        "precision:1.2",
        "recall:-1",
        "f1:2",
        "",
    ],
)
def test_an_objective_that_is_none_is_refused_with_the_list(text):
    with pytest.raises(SettingsError, match="not an objective") as refused:
        parse_objective(text)
    assert "fbeta:B" in refused.value.why
