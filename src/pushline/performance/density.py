"""How much likelier a reference row is among the rows of a window: w(x) = p_window(x) / p_reference(x).

A classifier tells window from reference; by Bayes' rule w(x) = P(window | x) / P(reference | x) * n_reference / n_window
(Sugiyama, Suzuki and Kanamori 2012, chapter 4). Each reference row is weighted by a classifier that was not fitted on it. Where the
classifier can't tell the two apart beyond chance there is no shift to correct, and every weight is 1: noise would only widen the interval.
"""

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Mask

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
    """Of encoded rows [rows, columns], NaN where a number is missing."""
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
