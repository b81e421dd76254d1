"""What a figure is likely to be on rows whose outcomes are not known yet.

Classes. Of a calibrated probability p the label is of the class with chance p, so the expected figure needs no label (confidence-based
performance estimation, CBPE; Kivimäki, Białek, Nurminen and Kuberski 2024, arXiv 2407.08649): every row stands once for each class,
weighted with that class's chance. Chances come from the reference, where labels are known: logit c_j(p) is a line in logit p_j with a
bend at each of KNOTS, fitted there by ridge, and divided by their sum. A line without bends (Platt 1999) is too stiff for a model that
overfits. Where the window's rows are distributed otherwise the reference rows are weighted by w(x) = p_window(x) / p_reference(x), so
that c is calibrated for the window (probabilistic adaptive performance estimation, PAPE; Białek, Kivimäki, Kuberski and Perrakis 2024,
arXiv 2401.08348).

Quantities. A second model learns each reference row's own loss from the row and its prediction (direct loss estimation, DLE; as
NannyML names it): the mean of what it expects on the window is the estimate, with the weighted residuals of the reference added, so that
a second model that learns nothing still gives the reference's own loss.

Assumed: P(label | row) is what it was in the reference. Where it changes (concept shift), every estimate is blind; outcomes alone show it.
The interval holds what the figure will turn out to be in 95 of 100 such windows: labels drawn from the chances, over resamples of the
reference.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Mask
from pushline.registry.measures import CELLS, EVERY
from pushline.results import Interval

ROUNDS = 120
KNOTS = (0.1, 0.3, 0.5, 0.7, 0.9)  # quantiles of the reference's logits
NEAREST = 1e-6  # of a probability to 0 and 1
LOSSES = {"mae": lambda error, label: np.abs(error), "rmse": lambda error, label: error**2, "r2": lambda error, label: error**2,
          "mape": lambda error, label: np.abs(error / label)}  # fmt: skip
FOLDS = 3
MOST = 5_000  # rows of either side that the classifiers see
LARGEST = 20.0  # of a weight: beyond, single rows would speak for all
CHANCE = 3.0  # standard errors of the area under the ROC curve


class DensityRatio(Struct, frozen=True, kw_only=True):
    """The weights of the reference rows, with mean 1."""

    weights: Floats
    shifted: bool  # the classifier tells window from reference

    @property
    def overlap(self) -> float:
        """The effective share of the reference rows, 1 where all weigh the same (Kish 1965)."""
        return float(self.weights.sum() ** 2 / max((self.weights**2).sum() * len(self.weights), 1e-12))

    def of(self, rows: Mask) -> "DensityRatio":
        return DensityRatio(weights=self.weights[rows], shifted=self.shifted)


def density_ratio(reference: Floats, window: Floats, seed: int = 7) -> DensityRatio:
    """How much likelier a reference row is among the rows of a window: w(x) = p_window(x) / p_reference(x).

    A classifier tells window from reference; by Bayes' rule w(x) = P(window | x) / P(reference | x) * n_reference / n_window
    (Sugiyama, Suzuki and Kanamori 2012, chapter 4). Each reference row is weighted by a classifier that was not fitted on it. Where
    the classifier can't tell the two apart beyond chance there is no shift to correct, and every weight is 1: noise would only widen
    the interval. Rows are encoded [rows, columns], NaN where a number is missing.
    """
    import lightgbm
    from scipy.stats import rankdata

    random = np.random.default_rng(seed)
    fold_of = random.integers(0, FOLDS, len(reference))
    some, others = (random.permutation(len(side))[:MOST] for side in (reference, window))
    rows = np.concatenate([reference[some], window[others]])
    is_window = np.repeat([0, 1], [len(some), len(others)])
    fold = np.concatenate([fold_of[some], random.integers(0, FOLDS, len(others))])
    settings = {"objective": "binary", "num_leaves": 8, "learning_rate": 0.1, "min_data_in_leaf": 40, "lambda_l2": 10.0, "verbosity": -1,
                "seed": seed, "num_threads": 1, "deterministic": True}  # fmt: skip
    chance, out_of_fold = np.zeros(len(reference)), np.zeros(len(rows))
    for one in range(FOLDS):
        told = lightgbm.train(settings, lightgbm.Dataset(rows[fold != one], is_window[fold != one]), num_boost_round=60)
        out_of_fold[fold == one] = told.predict(rows[fold == one])
        chance[fold_of == one] = told.predict(reference[fold_of == one])
    n, m = len(some), len(others)
    area = (rankdata(out_of_fold)[is_window == 1].sum() - m * (m + 1) / 2) / (n * m)
    if area < 0.5 + CHANCE * np.sqrt(
        (n + m + 1) / (12 * n * m)
    ):  # Mann and Whitney 1947: its standard error where there is nothing to tell
        return DensityRatio(weights=np.ones(len(reference)), shifted=False)
    weights = np.clip(chance / np.clip(1 - chance, 1e-9, 1) * n / m, 0, LARGEST)
    return DensityRatio(weights=weights / weights.mean(), shifted=True)


class Rows(Struct, frozen=True, kw_only=True):
    """Scored rows: encoded, as answered, and where they are known their labels."""

    matrix: Floats  # [rows, columns]
    answers: Floats  # [rows, classes], of a quantity its value [rows, 1]
    labels: Floats  # positions of classes, or quantities; of a window -1 and NaN where unknown

    def __len__(self) -> int:
        return len(self.answers)

    def of(self, mask: Floats) -> "Rows":
        return Rows(matrix=self.matrix[mask], answers=self.answers[mask], labels=self.labels[mask])


class Estimate(Struct, frozen=True, kw_only=True):
    """A figure that nobody has seen yet."""

    interval: Interval
    error: float  # standard
    method: str
    density: DensityRatio


def estimate(metric: str, reference: Rows, window: Rows, seed: int = 7, *, density: DensityRatio | None = None) -> Estimate:
    """The figure `metric` of the window's answers, whatever labels are known of it."""
    density = density or density_ratio(reference.matrix, window.matrix, seed)
    if metric in LOSSES:
        return estimate_of_quantity(metric, reference, window, density, seed)
    random, classes = np.random.default_rng(seed), reference.answers.shape[1]
    chances_of = calibrator(reference, window.answers)
    chances = chances_of(density.weights)
    value = expected(metric, window.answers, chances[None])[0]
    at_a_time, drawn = max(1, CELLS // (8 * len(window) * classes)), []
    for start in range(0, ROUNDS, at_a_time):
        labels = []
        for _ in range(min(at_a_time, ROUNDS - start)):
            again = np.bincount(random.integers(0, len(reference), len(reference)), minlength=len(reference))
            likely = chances_of(density.weights * again).cumsum(axis=1)
            label = (random.random((len(window), 1)) * likely[:, -1:] > likely[:, :-1]).sum(axis=1)
            labels.append(np.eye(classes)[label])
        drawn.append(expected(metric, window.answers, np.asarray(labels)))
    figures = np.concatenate(drawn)
    low, high = np.percentile(figures, (2.5, 97.5))
    interval = Interval(value=float(value), low=float(min(low, value)), high=float(max(high, value)))
    method = "PAPE" if density.shifted else "CBPE"
    return Estimate(interval=interval, error=float(np.std(figures)), method=method, density=density)


def expected(metric: str, answers: Floats, chances: Floats) -> Floats:
    """The figure for each of many sets of chances [sets, rows, classes]: each row stands once for each class."""
    rows, classes = answers.shape
    labels = np.repeat(np.arange(classes), rows)
    weights = chances.transpose(0, 2, 1).reshape(len(chances), classes * rows)
    return EVERY[metric](labels, np.tile(answers, (classes, 1)))(weights)


def calibrated(reference: Rows, weights: Floats, answers: Floats) -> Floats:
    """The chance of each class of new answers, as the reference has it under these weights."""
    return calibrator(reference, answers)(weights)


def calibrator(reference: Rows, answers: Floats) -> Callable[[Floats], Floats]:
    """A function from weights of the reference's rows to the chance of each class of new answers."""
    classes = answers.shape[1]
    seen, labels = reference.answers, reference.labels
    curves = [Curve(seen[:, one], labels == one, answers[:, one]) for one in ([1] if classes == 2 else range(classes))]

    def chances(weights: Floats) -> Floats:
        each = np.stack([curve.chances(weights) for curve in curves], axis=1)
        if classes == 2:
            return np.concatenate([1 - each, each], axis=1)
        each = np.clip(each, NEAREST, 1)
        return np.asarray(each / each.sum(axis=1, keepdims=True))

    return chances


class Curve:
    """The chance of a class at new probabilities: a logistic regression on the logit and its bends, held near the identity by ridge."""

    def __init__(self, seen: Floats, truth: Floats, new: Floats) -> None:
        bends = np.quantile(logit(seen), KNOTS)
        self.design, self.new, self.truth = bent(logit(seen), bends), bent(logit(new), bends), truth.astype(np.float64)
        self.identity = np.eye(2 + len(KNOTS))[1]
        self.start = self.identity

    def chances(self, weights: Floats) -> Floats:
        """By Newton's method from where the last weights ended, with steps halved until they lower the loss: the first may go too far."""
        found, now = self.start, self.loss(self.start, weights)
        for _ in range(20):
            p = sigmoid(self.design @ found)
            gradient = self.design.T @ (weights * (p - self.truth)) + (found - self.identity)
            hessian = (self.design * (weights * p * (1 - p))[:, None]).T @ self.design + np.eye(len(found))
            step = np.linalg.solve(hessian, gradient)
            while (after := self.loss(found - step, weights)) > now and np.abs(step).max() > 1e-6:
                step /= 2
            found, before, now = found - step, now, after
            if before - now < 1e-6:
                break
        self.start = found
        return sigmoid(self.new @ found)

    def loss(self, found: Floats, weights: Floats) -> float:
        raw = self.design @ found
        return float(weights @ (np.logaddexp(0, raw) - self.truth * raw) + ((found - self.identity) ** 2).sum() / 2)


def bent(x: Floats, bends: Floats) -> Floats:
    return np.column_stack([np.ones_like(x), x, *(np.maximum(x - bend, 0) for bend in bends)])


def logit(probability: Floats) -> Floats:
    near = np.clip(np.asarray(probability, dtype=np.float64), NEAREST, 1 - NEAREST)
    return np.asarray(np.log(near / (1 - near)))


def sigmoid(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -40, 40))))


def estimate_of_quantity(metric: str, reference: Rows, window: Rows, density: DensityRatio, seed: int) -> Estimate:
    """Direct loss estimation, its mean corrected by the weighted residuals of the reference."""
    import lightgbm

    random = np.random.default_rng(seed)
    loss = LOSSES[metric](reference.labels - reference.answers[:, 0], reference.labels)
    seen, new = (np.column_stack([rows.matrix, rows.answers[:, 0]]) for rows in (reference, window))
    settings = {"objective": "regression", "num_leaves": 8, "learning_rate": 0.05, "min_data_in_leaf": 40, "lambda_l2": 10.0,
                "verbosity": -1, "seed": seed, "num_threads": 1, "deterministic": True}  # fmt: skip
    fold, told, likely = random.integers(0, 3, len(seen)), np.zeros(len(seen)), np.zeros(len(new))
    for one in range(3):
        data = lightgbm.Dataset(seen[fold != one], loss[fold != one], weight=np.maximum(density.weights[fold != one], 1e-6))
        model = lightgbm.train(settings, data, num_boost_round=60)
        told[fold == one] = model.predict(seen[fold == one])
        likely += model.predict(new) / 3
    residual, share = loss - told, density.weights / density.weights.sum()
    mean = max(float(likely.mean() + (share * residual).sum()), 0.0)
    spread = float((share * residual**2).sum())
    error = float(np.sqrt(spread / len(window) + (share**2 * residual**2).sum()))
    low, high = max(mean - 1.96 * error, 0.0), mean + 1.96 * error
    figures = [figure_of_loss(metric, one, window.answers[:, 0]) for one in (mean, low, high)]
    interval = Interval(value=figures[0], low=min(figures), high=max(figures))
    method = "DLE, weighted" if density.shifted else "DLE"
    return Estimate(interval=interval, error=(interval.high - interval.low) / 3.92, method=method, density=density)


def figure_of_loss(metric: str, mean: float, answers: Floats) -> float:
    """Of a mean squared error its root, or the share of the labels' variance that is left: labels vary by the error beside the answers."""
    if metric == "r2":
        return 1 - mean / max(float(np.var(answers)) + mean, 1e-12)
    return float(np.sqrt(mean)) if metric == "rmse" else mean
