import numpy as np
import pytest

from pushline.registry.measures import figure
from pushline.training.automl.calibrate import best_calibration, calibrated, fitted
from pushline.training.graph import Calibration


def true_chances(seed: int, classes: int, rows: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels drawn from known probabilities, the probabilities, and five folds."""
    random = np.random.default_rng(seed)
    raw = np.exp(random.normal(size=(rows, classes)) * 1.2)
    chances = raw / raw.sum(axis=1, keepdims=True)
    labels = (chances.cumsum(axis=1) < random.random((rows, 1))).sum(axis=1).clip(0, classes - 1)
    return labels, chances, np.arange(rows) % 5


@pytest.mark.parametrize("classes", [2, 3])
def test_true_probabilities_are_left_alone(classes):
    labels, chances, folds = true_chances(1, classes)
    assert best_calibration(labels, chances, folds).changes_nothing


@pytest.mark.parametrize("classes", [2, 3])
def test_distorted_probabilities_are_put_back(classes):
    labels, chances, folds = true_chances(1, classes)
    distorted = calibrated(chances, Calibration(slope=2.0, shift=1.0 if classes == 2 else 0.0))
    found = best_calibration(labels, distorted, folds)
    assert not found.changes_nothing
    mended = calibrated(distorted, found)
    assert figure("log_loss", labels, mended) == pytest.approx(figure("log_loss", labels, chances), abs=0.004)
    assert figure("log_loss", labels, mended) < figure("log_loss", labels, distorted) - 0.05


def test_calibration_never_turns_the_ranking_round():
    labels, chances, _ = true_chances(2, 2)
    assert fitted(1 - labels, chances).slope > 0


def test_probabilities_of_zero_and_one_stay_numbers():
    chances = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]])
    assert np.isfinite(calibrated(chances, Calibration(slope=0.7, shift=0.1))).all()
