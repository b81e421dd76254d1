"""Linear models on the numeric matrix: numbers standardised, codes one-hot, missing numbers at their median."""

from typing import Any

import numpy as np

from pushline.arrays import Floats
from pushline.training.graph import Linear


class LinearModel:
    """What linear models make of the matrix, and what the ONNX graph needs of it."""

    def __init__(self, parameters: dict[str, Any], kinds: tuple[str, ...]) -> None:
        self.parameters = parameters
        self.kinds = kinds

    def measure(self, matrix: Floats) -> Floats:
        """Take medians, means and codes from the training rows, and return the columns that the regression sees."""
        self.numbers = tuple(place for place, kind in enumerate(self.kinds) if kind == "number")
        self.categories = tuple((place, int(matrix[:, place].max()) + 2) for place, kind in enumerate(self.kinds) if kind != "number")
        columns = matrix[:, self.numbers].astype(np.float64)
        known = ~np.isnan(columns)
        self.fill = np.array([np.median(column[have]) if have.any() else 0.0 for column, have in zip(columns.T, known.T, strict=True)])
        filled = np.where(known, columns, self.fill)
        self.mean, spread = filled.mean(axis=0), filled.std(axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        return self.expand(matrix)

    def expand(self, matrix: Floats) -> Floats:
        """The columns the regression sees."""
        numbers = matrix[:, self.numbers].astype(np.float64)
        pieces = [(np.where(np.isnan(numbers), self.fill, numbers) - self.mean) / self.scale]
        pieces += [matrix[:, [place]] == np.arange(-1, count - 1) for place, count in self.categories]
        return np.concatenate(pieces, axis=1)

    def part_of(self, weights: Floats, bias: Floats) -> Linear:
        return Linear(
            fill=self.fill,
            numbers=self.numbers,
            mean=self.mean,
            scale=self.scale,
            categories=self.categories,
            weights=weights,
            bias=bias,
        )


class LinearClassifier(LinearModel):
    """scikit-learn's logistic regression."""

    def fit(self, matrix: Floats, labels: Floats, sample_weight: Floats | None = None) -> "LinearClassifier":
        from sklearn.linear_model import LogisticRegression

        self.model = LogisticRegression(**self.parameters, max_iter=300).fit(self.measure(matrix), labels, sample_weight=sample_weight)
        return self

    def predict_proba(self, matrix: Floats) -> Floats:
        return np.asarray(self.model.predict_proba(self.expand(matrix)))

    def part(self) -> Linear:
        return self.part_of(self.model.coef_.T, self.model.intercept_)


class LinearRegressor(LinearModel):
    """scikit-learn's elastic net, on a label of mean 0 and spread 1, so that `alpha` means the same for every quantity."""

    def fit(self, matrix: Floats, labels: Floats) -> "LinearRegressor":
        from sklearn.linear_model import ElasticNet

        self.middle, self.unit = float(labels.mean()), float(labels.std()) or 1.0
        self.model = ElasticNet(**self.parameters).fit(self.measure(matrix), (labels - self.middle) / self.unit)
        return self

    def predict(self, matrix: Floats) -> Floats:
        return np.asarray(self.model.predict(self.expand(matrix)) * self.unit + self.middle)

    def part(self) -> Linear:
        return self.part_of(self.model.coef_[:, None] * self.unit, np.array([self.model.intercept_ * self.unit + self.middle]))


def elastic_net(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> LinearRegressor:
    return LinearRegressor(parameters, kinds)


def logistic_regression(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> LinearClassifier:
    return LinearClassifier(parameters, kinds)
