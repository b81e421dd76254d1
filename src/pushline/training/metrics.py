"""Figures of probabilities against labels, fast enough to be bootstrapped.

Everywhere: `labels` int64 [rows] are positions in the classes, `probabilities` float [rows, classes]. For two classes the
second is the positive one and average precision and ROC AUC are of it; for more they are the mean over the classes
(one against the rest), weighted by the classes' rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pushline.data.labels import Codes
from pushline.results import Interval

Floats = np.ndarray[Any, Any]
SMALLEST = 1e-7
BINS = 10
HIGHER_IS_BETTER = {"average_precision": True, "roc_auc": True, "accuracy": True, "log_loss": False, "brier": False, "ece": False}


def score(metric: str, labels: Codes, probabilities: Floats) -> float:
    """The figure as something to maximise: errors count negative."""
    value = METRICS[metric](labels, probabilities)
    return value if HIGHER_IS_BETTER[metric] else -value


def figures(labels: Codes, probabilities: Floats) -> dict[str, float]:
    """All figures that need no threshold."""
    return {name: metric(labels, probabilities) for name, metric in METRICS.items()}


def average_precision(labels: Codes, probabilities: Floats) -> float:
    return over_classes(labels, probabilities, binary_average_precision)


def roc_auc(labels: Codes, probabilities: Floats) -> float:
    return over_classes(labels, probabilities, binary_roc_auc)


def over_classes(labels: Codes, probabilities: Floats, metric: Callable[[Floats, Floats], float]) -> float:
    classes = probabilities.shape[1]
    if classes == 2:
        return metric(labels == 1, probabilities[:, 1])
    sizes = np.bincount(labels, minlength=classes)
    parts = [metric(labels == name, probabilities[:, name]) * sizes[name] for name in range(classes) if sizes[name]]
    return float(sum(parts) / sizes.sum())


def ranked(truth: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """True and false positives at every distinct score, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    hits = np.cumsum(truth[order], dtype=np.float64)[last]
    return hits, np.flatnonzero(last) + 1 - hits


def binary_average_precision(truth: Floats, scores: Floats) -> float:
    hits, misses = ranked(truth, scores)
    if hits[-1] == 0:
        return 0.0
    return float(np.sum(np.diff(hits, prepend=0) * hits / (hits + misses)) / hits[-1])


def binary_roc_auc(truth: Floats, scores: Floats) -> float:
    hits, misses = ranked(truth, scores)
    if hits[-1] == 0 or misses[-1] == 0:
        return 0.5
    area = np.trapezoid(np.append(0, hits), np.append(0, misses))
    return float(area / hits[-1] / misses[-1])


def accuracy(labels: Codes, probabilities: Floats) -> float:
    """The share of rows whose most probable class is the right one; the threshold plays no part."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def log_loss(labels: Codes, probabilities: Floats) -> float:
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.mean(np.log(np.clip(chosen, SMALLEST, 1))))


def brier(labels: Codes, probabilities: Floats) -> float:
    """Mean squared error of the probabilities: of the positive class for two, summed over the classes for more."""
    if probabilities.shape[1] == 2:
        return float(np.mean((probabilities[:, 1].astype(np.float64) - labels) ** 2))
    target = np.eye(probabilities.shape[1])[labels]
    return float(np.mean(np.sum((probabilities - target) ** 2, axis=1)))


def ece(labels: Codes, probabilities: Floats) -> float:
    """Expected calibration error: mean distance of predicted and observed share over ten bins of equal width, weighted by rows.

    Two classes: of the positive class's probability. More: of the most probable class's.
    """
    if probabilities.shape[1] == 2:
        predicted, truth = probabilities[:, 1], labels == 1
    else:
        predicted, truth = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    rows = np.bincount(bins, minlength=BINS)
    distance = np.abs(np.bincount(bins, weights=predicted, minlength=BINS) - np.bincount(bins, weights=truth, minlength=BINS))
    return float(np.sum(distance[rows > 0]) / len(labels))


METRICS: dict[str, Callable[[Codes, Floats], float]] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "accuracy": accuracy,
    "log_loss": log_loss,
    "brier": brier,
    "ece": ece,
}


def with_intervals(
    labels: Codes, probabilities: Floats, *, rounds: int = 1000, seed: int = 0, confidence: float = 0.95, extra: Any = None
) -> dict[str, Interval]:
    """Every figure with its bootstrap interval over `rounds` resamples of the rows.

    `extra(labels, probabilities)` may give more figures, such as those at a threshold.
    """

    def all_of(rows: Any) -> dict[str, float]:
        found = figures(labels[rows], probabilities[rows])
        return {**found, **extra(labels[rows], probabilities[rows])} if extra else found

    random = np.random.default_rng(seed)
    seen = [all_of(random.integers(0, len(labels), len(labels))) for _ in range(rounds)]
    edges = (100 * (1 - confidence) / 2, 100 * (1 + confidence) / 2)
    intervals = {}
    for name, value in all_of(np.arange(len(labels))).items():
        low, high = np.percentile([one[name] for one in seen], edges)
        intervals[name] = Interval(value=value, low=float(low), high=float(high))
    return intervals
