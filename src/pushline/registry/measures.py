"""Figures of a resampled hold-out, for all resamples at once: what makes a paired bootstrap of two models quick.

A resample is a row of weights: how often each row of the hold-out was drawn. Labels are class numbers, probabilities
float64 [rows, classes]; for two classes the second is the positive one. A quantity is float64, and its predictions are
[rows, 1]. The figures are those of scikit-learn, which a test holds.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pushline.arrays import Floats

SMALLEST = 1e-7
BINS = 10  # of a probability
CELLS = 8_000_000  # weights held at a time: 64 MB
OF_QUANTITIES = ("rmse", "mae", "r2", "mape")
HIGHER_IS_BETTER = {"average_precision": True, "roc_auc": True, "accuracy": True, "log_loss": False, "brier": False, "ece": False}
HIGHER_IS_BETTER |= {name: name == "r2" for name in OF_QUANTITIES}
Measure = Callable[[Floats], Floats]  # weights [resamples, rows] to one figure a resample


def figure(metric: str, labels: Floats, probabilities: Floats) -> float:
    """The figure of the rows as they are."""
    return as_it_is(EVERY[metric](labels, probabilities.astype(np.float64)), len(labels))


def as_it_is(measure: Measure, rows: int) -> float:
    return float(measure(np.ones((1, rows)))[0])


def resampled(metric: str, labels: Floats, models: list[Floats], *, rounds: int, seed: int) -> Floats:
    """The figure of each model (rows) over the same `rounds` resamples (columns)."""
    return over_resamples([EVERY[metric](labels, probabilities) for probabilities in models], len(labels), rounds=rounds, seed=seed)


def over_resamples(measures: Sequence[Measure], rows: int, *, rounds: int, seed: int) -> Floats:
    """Each measure (rows) over the same `rounds` resamples (columns) of so many rows."""
    random = np.random.default_rng(seed)
    seen = []
    chunk = max(1, CELLS // rows)
    for start in range(0, rounds, chunk):
        drawn = [np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(min(chunk, rounds - start))]
        weights = np.asarray(drawn, dtype=np.float64)
        seen.append([measure(weights) for measure in measures])
    return np.concatenate(seen, axis=1)


def random_figure(metric: str, labels: Floats, classes: int) -> float:
    """What a model reaches that knows the classes' shares, or of a quantity its mean or median, and nothing of a row."""
    if metric in OF_QUANTITIES:
        middle = np.mean(labels) if metric in ("rmse", "r2") else np.median(labels)
        return figure(metric, labels, np.full((len(labels), 1), middle))
    shares = np.bincount(labels, minlength=classes) / len(labels)
    if metric == "roc_auc":
        return 0.5
    if metric == "accuracy":
        return float(shares.max())
    if metric == "log_loss":
        return float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))
    return float(shares[1]) if classes == 2 else float(np.sum(shares**2))


def floor_of(metric: str, at_random: float, skill: float) -> float:
    """What a first version must reach: `skill` of the way from a random score to a perfect one."""
    perfect = 1.0 if HIGHER_IS_BETTER[metric] else 0.0
    return at_random + skill * (perfect - at_random)


def average_precision(labels: Floats, probabilities: Floats) -> Measure:
    return over_classes(labels, probabilities, binary_average_precision)


def roc_auc(labels: Floats, probabilities: Floats) -> Measure:
    return over_classes(labels, probabilities, binary_roc_auc)


def over_classes(labels: Floats, probabilities: Floats, make: Callable[[Floats, Floats], Measure]) -> Measure:
    """Of the positive class for two; for more the mean over the classes, weighted by their rows in the resample."""
    classes = probabilities.shape[1]
    if classes == 2:
        return make(labels == 1, probabilities[:, 1])
    parts = [(labels == one, make(labels == one, probabilities[:, one])) for one in range(classes)]

    def of(weights: Floats) -> Floats:
        sizes = [weights[:, truth].sum(axis=1) for truth, _ in parts]
        total = sum(size * np.where(size > 0, measure(weights), 0) for size, (_, measure) in zip(sizes, parts, strict=True))
        return np.asarray(total / sum(sizes))

    return of


def ranking(truth: Floats, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """The rows from the highest score down, their truth, and where a run of equal scores ends."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    return order, truth[order].astype(np.float64), ends


def binary_average_precision(truth: Floats, scores: Floats) -> Measure:
    order, positive, ends = ranking(truth, scores)

    def of(weights: Floats) -> Floats:
        drawn = weights[:, order]
        hits = np.cumsum(drawn * positive, axis=1)[:, ends]
        seen = np.cumsum(drawn, axis=1)[:, ends]
        steps = np.diff(hits, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(seen > 0, hits / seen, 0)
            return np.where(hits[:, -1] > 0, np.sum(steps * precision, axis=1) / hits[:, -1], 0)

    return of


def binary_roc_auc(truth: Floats, scores: Floats) -> Measure:
    order, positive, ends = ranking(truth, scores)

    def of(weights: Floats) -> Floats:
        drawn = weights[:, order]
        hits = np.cumsum(drawn * positive, axis=1)[:, ends]
        misses = np.cumsum(drawn * (1 - positive), axis=1)[:, ends]
        before = np.concatenate([np.zeros((len(weights), 1)), hits[:, :-1]], axis=1)
        area = np.sum(np.diff(misses, axis=1, prepend=0) * (hits + before) / 2, axis=1)
        whole = hits[:, -1] * misses[:, -1]
        return np.where(whole > 0, area / np.where(whole > 0, whole, 1), 0.5)

    return of


def accuracy(labels: Floats, probabilities: Floats) -> Measure:
    return mean_of((probabilities.argmax(axis=1) == labels).astype(np.float64))


def log_loss(labels: Floats, probabilities: Floats) -> Measure:
    chosen = probabilities[np.arange(len(labels)), labels]
    return mean_of(-np.log(np.clip(chosen, SMALLEST, 1)))


def brier(labels: Floats, probabilities: Floats) -> Measure:
    """Mean squared error of the probabilities: of the positive class for two, summed over the classes for more."""
    classes = probabilities.shape[1]
    return mean_of(np.sum((probabilities - np.eye(classes)[labels]) ** 2, axis=1) / (2 if classes == 2 else 1))


def ece(labels: Floats, probabilities: Floats) -> Measure:
    """Expected calibration error: mean distance of predicted and observed share over ten bins of equal width, weighted by rows.

    Two classes: of the positive class's probability. More: of the most probable class's.
    """
    if probabilities.shape[1] == 2:
        predicted, truth = probabilities[:, 1], labels == 1
    else:
        predicted, truth = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((predicted * BINS).astype(int), BINS - 1)
    gap = (predicted - truth)[:, None] * (bins[:, None] == np.arange(BINS))
    return lambda weights: np.asarray(np.abs(weights @ gap).sum(axis=1) / weights.sum(axis=1))


def rmse(labels: Floats, predictions: Floats) -> Measure:
    mean = mean_of((labels - predictions[:, 0]) ** 2)
    return lambda weights: np.sqrt(mean(weights))


def mae(labels: Floats, predictions: Floats) -> Measure:
    return mean_of(np.abs(labels - predictions[:, 0]))


def mape(labels: Floats, predictions: Floats) -> Measure:
    """Of labels none of which is 0."""
    return mean_of(np.abs((labels - predictions[:, 0]) / labels))


def r2(labels: Floats, predictions: Floats) -> Measure:
    """The share of the variance that is explained; 0 for a resample of one value."""
    around = labels - labels.mean()  # so that squares lose no digits
    error, mean, square = mean_of((labels - predictions[:, 0]) ** 2), mean_of(around), mean_of(around**2)

    def of(weights: Floats) -> Floats:
        spread = square(weights) - mean(weights) ** 2
        return np.where(spread > 0, 1 - error(weights) / np.where(spread > 0, spread, 1), 0.0)

    return of


def mean_of(values: Floats) -> Measure:
    return lambda weights: np.asarray(weights @ values / weights.sum(axis=1))


MEASURES: dict[str, Callable[[Floats, Floats], Measure]] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "accuracy": accuracy,
    "log_loss": log_loss,
}
QUANTITY_MEASURES: dict[str, Callable[[Floats, Floats], Measure]] = {"rmse": rmse, "mae": mae, "r2": r2, "mape": mape}
CLASS_MEASURES = MEASURES | {"brier": brier, "ece": ece}
EVERY = CLASS_MEASURES | QUANTITY_MEASURES
