"""Figures, held against those of scikit-learn, and of resamples."""

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from pushline.registry.decision import against_champion, against_floor
from pushline.registry.measures import MEASURES, figure, floor_of, random_figure, resampled
from pushline.settings import Promotion

Array = np.ndarray[Any, Any]


def made(rows: int, classes: int, seed: int, *, digits: int = 2) -> tuple[Array, Array]:
    """Labels, and probabilities that know something of them, with many equal ones."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, rows)
    scores = random.uniform(0.05, 1, (rows, classes)) + 0.6 * np.eye(classes)[labels]
    probabilities = np.round(scores / scores.sum(axis=1, keepdims=True), digits)
    return labels, probabilities


def by_reference(metric: str, labels: Array, probabilities: Array) -> float:
    if metric == "accuracy":
        return float(reference.accuracy_score(labels, probabilities.argmax(axis=1)))
    if metric == "log_loss":
        return float(reference.log_loss(labels, probabilities))
    score = reference.roc_auc_score if metric == "roc_auc" else reference.average_precision_score
    binary = probabilities.shape[1] == 2
    return float(score(labels, probabilities[:, 1]) if binary else score(np.eye(3)[labels], probabilities, average="weighted"))


@pytest.mark.parametrize("metric", MEASURES)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_figure_is_the_one_of_scikit_learn(metric: str, classes: int, seed: int) -> None:
    labels, probabilities = made(400, classes, seed)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # rounding has left them a little beside 1
    assert figure(metric, labels, probabilities) == pytest.approx(by_reference(metric, labels, probabilities), abs=1e-12)


@pytest.mark.parametrize("metric", MEASURES)
@pytest.mark.parametrize("classes", [2, 3])
def test_a_resample_has_the_figure_of_its_rows(metric: str, classes: int) -> None:
    labels, probabilities = made(150, classes, 3)
    seen = resampled(metric, labels, [probabilities], rounds=20, seed=9)[0]
    random = np.random.default_rng(9)
    for value in seen:
        rows = random.integers(0, 150, 150)
        assert value == pytest.approx(figure(metric, labels[rows], probabilities[rows]), abs=1e-12)


def test_both_models_meet_on_the_same_resamples() -> None:
    labels, probabilities = made(300, 2, 4)
    first, second = resampled("average_precision", labels, [probabilities, probabilities], rounds=50, seed=1)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("metric", MEASURES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_the_floor_lies_between_a_random_and_a_perfect_score_at_every_base_rate(metric: str, share: float) -> None:
    labels = (np.arange(1000) < 1000 * share).astype(np.int64)
    at_random = random_figure(metric, labels, 2)
    perfect = np.eye(2)[labels]
    low, high = sorted((at_random, figure(metric, labels, perfect)))
    assert low < floor_of(metric, at_random, 0.05) < high
    assert against_floor(metric, labels, perfect, Promotion(rounds=50), because="no champion").accept


@pytest.mark.parametrize("metric", MEASURES)
def test_guesses_are_refused_at_every_metric(metric: str) -> None:
    labels, _ = made(2000, 2, 5)
    guesses = np.random.default_rng(6).uniform(0.2, 0.8, 2000)
    probabilities = np.column_stack([1 - guesses, guesses])
    assert not against_floor(metric, labels, probabilities, Promotion(rounds=200), because="no champion").accept


def test_a_certain_small_loss_is_refused_whatever_is_tolerated() -> None:
    labels, probabilities = made(20_000, 2, 7, digits=6)
    worse = probabilities.copy()
    worse[::9] = 0.5
    decision = against_champion("average_precision", labels, worse, probabilities, Promotion(rounds=200, minimum_gain=-0.5), version="1")
    assert not decision.accept
    assert "beyond chance" in decision.reason
