"""Figures of a quantity's predictions and their intervals: what stands in the place of probabilities, curves and confusion.

`labels` float64 [rows], `predictions` [rows, 3]: value, low and high.
"""

from typing import Any

import numpy as np

from pushline.arrays import Floats
from pushline.evaluation import PredictedRange, Residuals
from pushline.registry.measures import OF_QUANTITIES, QUANTITY_MEASURES, Measure, figure, mean_of, random_figure
from pushline.results import Interval
from pushline.training.metrics import bootstrapped

RANGES = 10  # of the predicted value
BARS = 24  # of residuals
SMALLEST = 30  # rows of a range or group, below which its figures say nothing
GROUP_FIGURES = ("mae", "bias", "coverage", "width")


def metrics_of(labels: Floats) -> tuple[str, ...]:
    """The figures of values that the labels allow: a share of 0 is none."""
    return tuple(name for name in OF_QUANTITIES if name != "mape" or bool(np.all(labels != 0)))


def parts_of(labels: Floats, predictions: Floats, level: float, *, rounds: int, seed: int) -> dict[str, Any]:
    """The parts of an evaluation that a quantity has in the place of those of classes."""
    predictions = predictions.astype(np.float64)
    value, low, high = predictions.T
    inside = (labels >= low) & (labels <= high)
    measures: dict[str, Measure] = {name: QUANTITY_MEASURES[name](labels, predictions) for name in metrics_of(labels)}
    measures |= {
        "coverage": mean_of(inside.astype(np.float64)),
        "width": mean_of(high - low),
        "pinball": mean_of((pinball(labels, low, (1 - level) / 2) + pinball(labels, high, (1 + level) / 2)) / 2),
    }
    metrics: dict[str, Interval] = bootstrapped(measures, len(labels), rounds=rounds, seed=seed)
    return {
        "metrics": metrics,
        "baseline": {name: random_figure(name, labels, 1) for name in metrics_of(labels)},
        "level": level,
        "ranges": ranges_of(labels, value, inside),
        "residuals": residuals_of(labels - value),
    }


def pinball(labels: Floats, quantile: Floats, share: float) -> Floats:
    """The loss that the true quantile of this share makes smallest (Koenker and Bassett 1978)."""
    return np.asarray(np.maximum(share * (labels - quantile), (share - 1) * (labels - quantile)))


def ranges_of(labels: Floats, value: Floats, inside: Floats) -> tuple[PredictedRange, ...]:
    """Ranges of the predicted value with about equally many rows."""
    ranges = max(1, min(RANGES, len(labels) // SMALLEST))
    edges = np.unique(np.quantile(value, np.arange(1, ranges) / ranges))
    place = np.searchsorted(edges, value, side="right")
    found = []
    for at in np.unique(place):
        rows = place == at
        low, middle, high = np.quantile(labels[rows], (0.1, 0.5, 0.9))
        found.append(
            PredictedRange(
                predicted=float(value[rows].mean()),
                observed=float(labels[rows].mean()),
                low=rounded(low),
                middle=rounded(middle),
                high=rounded(high),
                rows=int(rows.sum()),
                coverage=float(inside[rows].mean()),
            )
        )
    return tuple(found)


def rounded(value: float) -> float:
    """Three digits, so that no row's own value is told."""
    return float(f"{value:.3g}")


def residuals_of(residuals: Floats) -> Residuals:
    """How label minus prediction is spread: bars between its first and last hundredth, in which the rows beyond are counted too."""
    low, high = (rounded(edge) for edge in np.quantile(residuals, (0.01, 0.99)))
    if low >= high:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(np.clip(residuals, low, high), bins=BARS, range=(low, high))
    return Residuals(low=low, high=high, rows=tuple(map(int, counts)))


def of_group(labels: Floats, predictions: Floats) -> dict[str, float]:
    """The figures of some rows."""
    value, low, high = predictions.astype(np.float64).T
    return {
        "mae": figure("mae", labels, predictions),
        "bias": float(np.mean(value - labels)),
        "coverage": float(np.mean((labels >= low) & (labels <= high))),
        "width": float(np.mean(high - low)),
    }
