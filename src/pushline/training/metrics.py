"""Figures of a model's answers against labels, fast enough to be bootstrapped.

Everywhere: `labels` int64 [rows] are positions in the classes, `probabilities` float [rows, classes]. For two classes the
second is the positive one and average precision and ROC AUC are of it; for more they are the mean over the classes
(one against the rest), weighted by the classes' rows. For a quantity `labels` are float64 and what stands in the place of
probabilities are predictions [rows, 1].
"""

from collections.abc import Callable

import numpy as np
from msgspec import structs

from pushline.arrays import Floats
from pushline.data.contract.labels import Codes
from pushline.registry.measures import CELLS, MEASURES, figure
from pushline.registry.measures import HIGHER_IS_BETTER as HIGHER_IS_BETTER_RESAMPLED
from pushline.results import Interval

Measure = Callable[[Floats], Floats]  # weights [resamples, rows] to one figure a resample
SMALLEST = 1e-7
BINS = 10
HIGHER_IS_BETTER = {**HIGHER_IS_BETTER_RESAMPLED, "brier": False, "ece": False}


def score(metric: str, labels: Codes, probabilities: Floats) -> float:
    """The figure as something to maximise: errors count negative."""
    value = METRICS[metric](labels, probabilities) if metric in METRICS else figure(metric, labels, probabilities)
    return value if HIGHER_IS_BETTER[metric] else -value


def natural(metric: str, worth: float) -> float:
    """A score to maximise as the figure that people know."""
    return worth if HIGHER_IS_BETTER[metric] else -worth


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
    predicted, truth, bins = in_bins(labels, probabilities)
    return float(np.sum(np.abs(np.bincount(bins, weights=predicted - truth, minlength=BINS))) / len(labels))


def in_bins(labels: Codes, probabilities: Floats) -> tuple[Floats, Floats, Floats]:
    """For each row the predicted probability, whether it came true, and the bin."""
    if probabilities.shape[1] == 2:
        predicted, truth = probabilities[:, 1], labels == 1
    else:
        predicted, truth = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    return predicted.astype(np.float64), truth.astype(np.float64), np.minimum((predicted * BINS).astype(int), BINS - 1)


METRICS: dict[str, Callable[[Codes, Floats], float]] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "accuracy": accuracy,
    "log_loss": log_loss,
    "brier": brier,
    "ece": ece,
}


def with_intervals(
    labels: Codes, probabilities: Floats, *, threshold: float | None = None, rounds: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Interval]:
    """Every figure with its bootstrap interval over `rounds` resamples of the rows; with a threshold those of its answers too."""
    measures = {name: resampled_measure(name, labels, probabilities) for name in METRICS}
    if threshold is not None:
        measures |= answer_measures(labels, probabilities[:, 1] >= threshold)
    intervals = bootstrapped(measures, len(labels), rounds=rounds, seed=seed, confidence=confidence)
    exact = {name: METRICS[name](labels, probabilities) for name in METRICS}
    return {name: structs.replace(one, value=exact.get(name, one.value)) for name, one in intervals.items()}


def bootstrapped(
    measures: dict[str, Measure], rows: int, *, rounds: int = 1000, seed: int = 0, confidence: float = 0.95
) -> dict[str, Interval]:
    """Each figure with its bootstrap interval over the same `rounds` resamples of the rows."""
    random = np.random.default_rng(seed)
    seen: dict[str, list[Floats]] = {name: [] for name in measures}
    chunk = max(1, CELLS // rows)
    for start in range(0, rounds, chunk):
        drawn = [np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(min(chunk, rounds - start))]
        weights = np.asarray(drawn, dtype=np.float64)
        for name, measure in measures.items():
            seen[name].append(measure(weights))
    edges = (100 * (1 - confidence) / 2, 100 * (1 + confidence) / 2)
    intervals = {}
    for name, measure in measures.items():
        low, high = np.percentile(np.concatenate(seen[name]), edges)
        value = float(measure(np.ones((1, rows)))[0])
        if name == "ece":
            # A resample's noise adds to every bin's distance: only the spread of the resamples says something, not where they lie.
            low, high = np.maximum(0, [low, high] - np.mean(np.concatenate(seen[name])) + value)
        intervals[name] = Interval(value=value, low=float(low), high=float(high))
    return intervals


def resampled_measure(name: str, labels: Codes, probabilities: Floats) -> Measure:
    """The figure `name` of many resamples at once: a function of weights [resamples, rows]."""
    if name in MEASURES:
        return MEASURES[name](labels, probabilities.astype(np.float64))
    if name == "brier":
        target = np.eye(probabilities.shape[1])[labels]
        errors = np.sum((probabilities - target) ** 2, axis=1) / (2 if probabilities.shape[1] == 2 else 1)
        return lambda weights: (weights @ errors) / weights.sum(axis=1)
    predicted, truth, bins = in_bins(labels, probabilities)
    gap = (predicted - truth)[:, None] * (bins[:, None] == np.arange(BINS))
    return lambda weights: np.abs(weights @ gap).sum(axis=1) / weights.sum(axis=1)


def answer_measures(labels: Codes, said: Floats) -> dict[str, Measure]:
    """The figures of answers (bool [rows]: the positive class is said), each of many resamples at once."""
    truth = labels == 1

    def counts(weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        return weights @ (said & truth), weights @ said, weights @ truth, weights.sum(axis=1)

    def of(figure: Callable[[Floats, Floats, Floats, Floats], Floats]) -> Measure:
        return lambda weights: figure(*counts(weights))

    return {
        "precision": of(lambda hits, claimed, true, rows: hits / np.maximum(claimed, 1)),
        "recall": of(lambda hits, claimed, true, rows: hits / np.maximum(true, 1)),
        "f1": of(lambda hits, claimed, true, rows: 2 * hits / np.maximum(claimed + true, 1)),
        "accuracy_at_threshold": of(lambda hits, claimed, true, rows: (rows - claimed - true + 2 * hits) / rows),
        "balanced_accuracy": of(
            lambda hits, claimed, true, rows: (hits / np.maximum(true, 1) + (rows - claimed - true + hits) / np.maximum(rows - true, 1)) / 2
        ),
        "share_predicted": of(lambda hits, claimed, true, rows: claimed / rows),
    }
