"""The estimator of a candidate: a library's class with what the search chose and what is fixed for each library."""

from importlib import import_module
from typing import Any

import numpy as np
from msgspec import Struct, structs

from pushline.arrays import Floats
from pushline.training.automl.algorithms import Candidate
from pushline.training.graph import GraphPart


class Library(Struct, frozen=True, kw_only=True):
    """How a library's estimators are made, beside the parameters that are searched."""

    fixed: dict[str, Any] = {}
    seed: str = "random_state"  # its names for these
    threads: str = "n_jobs"  # empty: it has one
    loss: str = "objective"
    losses: dict[str, str] = {}  # by the objective of a quantity; the first where it has no other


# By class, without what it predicts. The same result on any number of threads and at every repetition.
LIBRARIES = {
    "LGBM": Library(
        fixed={"deterministic": True, "force_row_wise": True, "subsample_freq": 1, "verbosity": -1},
        losses={"squared": "regression", "absolute": "regression_l1", "poisson": "poisson", "gamma": "gamma", "tweedie": "tweedie"},
    ),
    "XGB": Library(
        fixed={"tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "verbosity": 0},
        losses={"squared": "reg:squarederror", "absolute": "reg:absoluteerror"},
    ),
    "CatBoost": Library(
        fixed={"verbose": False, "allow_writing_files": False, "bootstrap_type": "Bernoulli"},
        seed="random_seed",
        threads="thread_count",
        loss="loss_function",
        losses={"squared": "RMSE"},
    ),
    "HistGradientBoosting": Library(
        fixed={"early_stopping": False},
        threads="",
        loss="loss",
        losses={"squared": "squared_error", "absolute": "absolute_error", "poisson": "poisson", "gamma": "gamma"},
    ),
    "ExtraTrees": Library(),
    "RandomForest": Library(),
    "DecisionTree": Library(threads=""),
}


class TargetRegressor:
    """A library's regressor, on the label itself or on its logarithm."""

    def __init__(self, model: Any, objective: str) -> None:
        self.model = model
        self.log, self.to_mean = objective.startswith("log"), objective == "log mean"
        self.offset, self.factor = 0.0, 1.0

    def fit(self, matrix: Floats, labels: Floats) -> "TargetRegressor":
        if not self.log:
            self.model.fit(matrix, labels)
            return self
        self.offset = 0.0 if labels.min() > 0 else 1.0
        self.model.fit(matrix, np.log(labels + self.offset))
        if self.to_mean:  # what is lost by the logarithm, as one factor (Duan 1983 has the mean of ratios, this is the ratio of means)
            self.factor = float(np.mean(labels + self.offset) / np.mean(np.exp(self.model.predict(matrix))))
        return self

    def predict(self, matrix: Floats) -> Floats:
        raw = np.asarray(self.model.predict(matrix), dtype=np.float64)
        return np.exp(raw) * self.factor - self.offset if self.log else raw

    def part(self) -> GraphPart:
        from pushline.training.trees import trees_of

        trees = trees_of(self.model, 1)
        if not self.log:
            return trees
        return structs.replace(trees, base=(trees.base[0] + float(np.log(self.factor)),), link="exp", shift=-self.offset)


def build(candidate: Candidate, *, seed: int, threads: int, kinds: tuple[str, ...]) -> Any:
    """The unfitted estimator of a candidate. `kinds`: number, category or boolean for each column of the matrix."""
    module, _, name = candidate.builder.partition(":")
    made, parameters = getattr(import_module(module), name), dict(candidate.parameters)
    library = LIBRARIES.get(name.removesuffix("Classifier").removesuffix("Regressor"))
    if library is None:
        return made(parameters, seed=seed, threads=threads, kinds=kinds)
    objective = str(parameters.pop("objective", "squared"))
    parameters |= {**library.fixed, library.seed: seed, **({library.threads: threads} if library.threads else {})}
    if not name.endswith("Regressor"):
        return made(**parameters)
    if library.losses:
        parameters[library.loss] = library.losses.get(objective, library.losses["squared"])
    return TargetRegressor(made(**parameters), objective)
