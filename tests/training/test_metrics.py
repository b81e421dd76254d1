import numpy as np
import pytest
from sklearn import metrics as reference

from pushline.registry.measures import figure
from pushline.training.metrics import at_threshold, figures, natural, score, with_intervals


def scores(rows: int, seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities with many ties that say something about them."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, rows)
    raw = np.round(random.random((rows, classes)) + 0.7 * np.eye(classes)[labels], 1) + 0.05
    return labels, raw / raw.sum(axis=1, keepdims=True)


def test_binary_figures_are_those_of_scikit_learn():
    labels, probabilities = scores(800, 1)
    positive, seen = probabilities[:, 1], figures(labels, probabilities)
    assert seen["average_precision"] == pytest.approx(reference.average_precision_score(labels, positive))
    assert seen["roc_auc"] == pytest.approx(reference.roc_auc_score(labels, positive))
    assert seen["log_loss"] == pytest.approx(reference.log_loss(labels, probabilities))
    assert seen["brier"] == pytest.approx(reference.brier_score_loss(labels, positive))
    assert seen["accuracy"] == pytest.approx(reference.accuracy_score(labels, probabilities.argmax(axis=1)))


def test_figures_of_three_classes_are_weighted_by_their_rows():
    labels, probabilities = scores(900, 2, classes=3)
    one_hot, seen = np.eye(3)[labels], figures(labels, probabilities)
    assert seen["average_precision"] == pytest.approx(reference.average_precision_score(one_hot, probabilities, average="weighted"))
    assert seen["roc_auc"] == pytest.approx(reference.roc_auc_score(labels, probabilities, multi_class="ovr", average="weighted"))
    assert seen["log_loss"] == pytest.approx(reference.log_loss(labels, probabilities))


def test_calibration_error_is_the_mean_gap_over_ten_bins():
    labels = np.array([0, 1, 1, 1, 0, 1])
    positive = np.array([0.05, 0.05, 0.45, 0.45, 0.95, 0.95])
    expected = (abs(0.1 - 1) + abs(0.9 - 2) + abs(1.9 - 1)) / 6
    assert figure("ece", labels, np.stack([1 - positive, positive], axis=1)) == pytest.approx(expected)


def test_a_score_that_says_nothing_has_the_figures_of_chance():
    labels = np.array([0, 0, 0, 1])
    seen = figures(labels, np.tile([0.75, 0.25], (4, 1)))
    assert seen["average_precision"] == pytest.approx(0.25)
    assert seen["roc_auc"] == pytest.approx(0.5)


@pytest.mark.parametrize("classes", [2, 3])
def test_intervals_are_those_of_resampling_one_at_a_time(classes):
    labels, probabilities = scores(300, 4, classes)
    threshold = 0.4 if classes == 2 else None
    seen = with_intervals(labels, probabilities, threshold=threshold, rounds=60, seed=5)
    random = np.random.default_rng(5)
    drawn = []
    for _ in range(60):
        rows = random.integers(0, 300, 300)
        known = figures(labels[rows], probabilities[rows])
        if threshold is not None:
            known |= at_threshold(labels[rows], probabilities[rows][:, 1], threshold)
        drawn.append(known)
    assert set(seen) == set(drawn[0])
    for name, interval in seen.items():
        resampled = np.array([one[name] for one in drawn])
        if name == "ece":  # which resampling makes larger: its interval lies around the value
            resampled += interval.value - resampled.mean()
        low, high = np.percentile(resampled, (2.5, 97.5))
        assert (interval.low, interval.high) == (pytest.approx(max(0, low)), pytest.approx(high))
        assert interval.low <= interval.value <= interval.high


def test_errors_count_negative_as_scores():
    labels, probabilities = scores(200, 6)
    assert score("log_loss", labels, probabilities) == -figure("log_loss", labels, probabilities)
    assert natural("log_loss", -0.3) == 0.3
    assert natural("roc_auc", 0.8) == 0.8
