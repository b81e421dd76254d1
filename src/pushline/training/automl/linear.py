"""Linear models on the numeric matrix: numbers standardised or bent, codes one-hot, missing numbers at their median."""

from itertools import pairwise
from typing import Any

import numpy as np

from pushline.arrays import Floats
from pushline.training.graph import Linear


class LinearModel:
    """What linear models make of the matrix, and what the ONNX graph needs of it.

    With `knots` each number becomes so many pieces, each rising from 0 to 1 between two quantiles: the effect may bend there, and goes
    on level beyond the values of training (a linear spline).
    """

    def __init__(self, parameters: dict[str, Any], kinds: tuple[str, ...]) -> None:
        self.parameters = {name: value for name, value in parameters.items() if name != "knots"}
        self.knots = int(parameters.get("knots", 0))
        self.kinds = kinds

    def measure(self, matrix: Floats) -> Floats:
        """Take medians, means, quantiles and codes from the training rows, and return the columns that the regression sees."""
        self.numbers = tuple(place for place, kind in enumerate(self.kinds) if kind == "number")
        self.categories = tuple((place, int(matrix[:, place].max()) + 2) for place, kind in enumerate(self.kinds) if kind != "number")
        columns = matrix[:, self.numbers].astype(np.float64)
        known = ~np.isnan(columns)
        self.missing = tuple(place for place, have in zip(self.numbers, known.T, strict=True) if not have.all())
        self.fill = np.array([np.median(column[have]) if have.any() else 0.0 for column, have in zip(columns.T, known.T, strict=True)])
        filled = np.where(known, columns, self.fill)
        if self.knots:
            self.bend(filled)
        else:
            self.mean, spread = filled.mean(axis=0), filled.std(axis=0)
            self.scale = np.where(spread > 0, spread, 1.0)
        return self.expand(matrix)

    def bend(self, filled: Floats) -> None:
        """One number for each piece: `mean` is where it begins and `scale` how wide it is, in float32 as the graph has them."""
        shares = np.linspace(0.005, 0.995, self.knots + 1)
        ends = [np.unique(np.quantile(column, shares).astype(np.float32)).astype(np.float64) for column in filled.T]
        of = [(place, low, high) for place, cut in enumerate(ends) for low, high in pairwise(cut)]
        self.numbers, self.fill = tuple(self.numbers[place] for place, _, _ in of), self.fill[[place for place, _, _ in of]]
        self.mean = np.array([low for _, low, _ in of])
        self.scale = np.array([high - low for _, low, high in of])

    def expand(self, matrix: Floats) -> Floats:
        """The columns the regression sees."""
        numbers = matrix[:, self.numbers].astype(np.float64)
        scaled = (np.where(np.isnan(numbers), self.fill, numbers) - self.mean) / self.scale
        pieces = [np.clip(scaled, 0, 1) if self.knots else scaled, np.isnan(matrix[:, self.missing])]
        pieces += [matrix[:, [place]] == np.arange(-1, count - 1) for place, count in self.categories]
        return np.concatenate(pieces, axis=1)

    def part_of(self, weights: Floats, bias: Floats) -> Linear:
        return Linear(
            fill=self.fill,
            numbers=self.numbers,
            mean=self.mean,
            scale=self.scale,
            missing=self.missing,
            categories=self.categories,
            weights=weights,
            bias=bias,
            bounded=bool(self.knots),
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
