"""Logistic regression on the numeric matrix: numbers standardised, codes one-hot, missing numbers at their median."""

from typing import Any

import numpy as np

from pushline.arrays import Floats
from pushline.training.graph import Linear


class LinearClassifier:
    """Fits scikit-learn's logistic regression and keeps what the ONNX graph needs."""

    def __init__(self, parameters: dict[str, Any], kinds: tuple[str, ...]) -> None:
        self.parameters = parameters
        self.kinds = kinds

    def fit(self, matrix: Floats, labels: Floats, sample_weight: Floats | None = None) -> "LinearClassifier":
        from sklearn.linear_model import LogisticRegression

        self.numbers = tuple(place for place, kind in enumerate(self.kinds) if kind == "number")
        self.categories = tuple((place, int(matrix[:, place].max()) + 2) for place, kind in enumerate(self.kinds) if kind != "number")
        columns = matrix[:, self.numbers].astype(np.float64)
        known = ~np.isnan(columns)
        self.fill = np.array([np.median(column[have]) if have.any() else 0.0 for column, have in zip(columns.T, known.T, strict=True)])
        filled = np.where(known, columns, self.fill)
        self.mean, spread = filled.mean(axis=0), filled.std(axis=0)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.model = LogisticRegression(**self.parameters, max_iter=300).fit(self.expand(matrix), labels, sample_weight=sample_weight)
        return self

    def expand(self, matrix: Floats) -> Floats:
        """The columns the regression sees."""
        numbers = matrix[:, self.numbers].astype(np.float64)
        pieces = [(np.where(np.isnan(numbers), self.fill, numbers) - self.mean) / self.scale]
        pieces += [matrix[:, [place]] == np.arange(-1, count - 1) for place, count in self.categories]
        return np.concatenate(pieces, axis=1)

    def predict_proba(self, matrix: Floats) -> Floats:
        return np.asarray(self.model.predict_proba(self.expand(matrix)))

    def part(self) -> Linear:
        return Linear(
            fill=self.fill,
            numbers=self.numbers,
            mean=self.mean,
            scale=self.scale,
            categories=self.categories,
            weights=self.model.coef_.T,
            bias=self.model.intercept_,
        )


def logistic_regression(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> LinearClassifier:
    return LinearClassifier(parameters, kinds)
