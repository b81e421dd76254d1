"""Figures of a model's answers against labels, with their bootstrap intervals.

Everywhere: `labels` int64 [rows] are positions in the classes, `probabilities` float [rows, classes]. For a quantity `labels` are
float64 and what stands in the place of probabilities are predictions [rows, 1]. `registry.measures` says what each figure is.
"""

from collections.abc import Callable

import numpy as np

from pushline.arrays import Floats
from pushline.data.contract.encoding import Codes
from pushline.registry.measures import CLASS_MEASURES, HIGHER_IS_BETTER, Measure, as_it_is, figure, over_resamples
from pushline.results import Interval


def score(metric: str, labels: Codes, probabilities: Floats) -> float:
    """The figure as something to maximise: errors count negative."""
    return natural(metric, figure(metric, labels, probabilities))


def natural(metric: str, worth: float) -> float:
    """A score to maximise as the figure that people know, and the other way round."""
    return worth if HIGHER_IS_BETTER[metric] else -worth


def figures(labels: Codes, probabilities: Floats) -> dict[str, float]:
    """All figures that need no threshold."""
    return {name: figure(name, labels, probabilities) for name in CLASS_MEASURES}


def ranked(truth: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """True and false positives at every distinct score, from the highest score down."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    hits = np.cumsum(truth[order], dtype=np.float64)[last]
    return hits, np.flatnonzero(last) + 1 - hits


def with_intervals(labels: Codes, probabilities: Floats, *, threshold: float | None, rounds: int, seed: int) -> dict[str, Interval]:
    """Every figure with its bootstrap interval over `rounds` resamples of the rows; with a threshold those of its answers too."""
    exact = probabilities.astype(np.float64)
    measures = {name: make(labels, exact) for name, make in CLASS_MEASURES.items()}
    if threshold is not None:
        measures |= answer_measures(labels, probabilities[:, 1] >= threshold)
    return bootstrapped(measures, len(labels), rounds=rounds, seed=seed)


def bootstrapped(measures: dict[str, Measure], rows: int, *, rounds: int, seed: int) -> dict[str, Interval]:
    """Each figure with its 95 % bootstrap interval over the same `rounds` resamples of the rows."""
    intervals = {}
    seen = over_resamples(list(measures.values()), rows, rounds=rounds, seed=seed)
    for (name, measure), resamples in zip(measures.items(), seen, strict=True):
        low, high = np.percentile(resamples, (2.5, 97.5))
        value = as_it_is(measure, rows)
        if name == "ece":
            # A resample's noise adds to every bin's distance: only the spread of the resamples says something, not where they lie.
            low, high = np.maximum(0, [low, high] - np.mean(resamples) + value)
        intervals[name] = Interval(value=value, low=float(low), high=float(high))
    return intervals


def at_threshold(labels: Codes, probabilities: Floats, threshold: float) -> dict[str, float]:
    """Figures of the answers at a threshold: `probabilities` [rows] of the positive class."""
    return {name: as_it_is(measure, len(labels)) for name, measure in answer_measures(labels, probabilities >= threshold).items()}


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
