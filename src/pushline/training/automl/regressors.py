"""The algorithms AutoML may use for a quantity: the libraries of the classifiers, with the losses that the label admits."""

from typing import Any

import numpy as np
from msgspec import structs

from pushline.arrays import Floats
from pushline.training.automl.algorithms import ALGORITHMS, SLOW, Algorithm, Range, Value
from pushline.training.graph import GraphPart

HERE = "pushline.training.automl.regressors"
WIDER: dict[str, Value] = {"n_estimators": 500, "learning_rate": 0.05, "subsample": 0.8, "reg_lambda": 1.0}
# `objective`: the loss, or the scale on which squared errors are learned. `log mean` is brought back to the mean, `log` is the median.
LIGHTGBM = {"squared": "regression", "absolute": "regression_l1", "poisson": "poisson", "gamma": "gamma", "tweedie": "tweedie"}
XGBOOST = {"squared": "reg:squarederror", "absolute": "reg:absoluteerror"}
CATBOOST = {"squared": "RMSE"}
BOOSTING = {"squared": "squared_error", "absolute": "absolute_error", "poisson": "poisson", "gamma": "gamma"}
OF_MEDIANS = ("mae", "mape")  # metrics that the median serves, and not the mean


def objectives_of(labels: Floats, metric: str) -> tuple[str, ...]:
    """The objectives that a label admits."""
    found = ["squared", "absolute"]
    low, zeros, whole = labels.min(), np.mean(labels == 0), bool(np.all(labels == np.floor(labels)))
    if low >= 0:
        found += ["log" if metric in OF_MEDIANS else "log mean"]
        found += ["poisson"] if whole else []
        found += ["tweedie"] if zeros else ["gamma"]
    return tuple(found)


def for_labels(algorithm: Algorithm, labels: Floats, metric: str) -> Algorithm:
    """The algorithm with the part of its portfolio that a label admits; a bare one is left as it is."""
    admitted = objectives_of(labels, metric)
    return structs.replace(algorithm, portfolio=tuple(one for one in algorithm.portfolio if one.get("objective", "squared") in admitted))


def regressor(name: str, known_as: str, builder: str, portfolio: tuple[dict[str, Value], ...]) -> Algorithm:
    """The regressor beside a classifier: the same space, another portfolio."""
    return structs.replace(ALGORITHMS[known_as], name=name, builder=f"{HERE}:{builder}", portfolio=portfolio, deep=())


def with_objectives(parameters: dict[str, Value], *objectives: str) -> tuple[dict[str, Value], ...]:
    return tuple({"objective": objective, **parameters} for objective in objectives)


LEAVES_OF_XGBOOST = ("colsample_bytree", "colsample_bynode", "max_leaves", "min_child_weight")
LEAF = {"colsample_bytree": 1.0, "feature_fraction_bynode": 0.5, "num_leaves": 15, "min_child_samples": 20}
REGRESSORS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        regressor(
            "LightGBM",
            "LightGBM",
            "lightgbm",
            (
                *with_objectives({**SLOW, **LEAF}, "squared"),
                *with_objectives(
                    {**WIDER, **LEAF, "num_leaves": 31}, "squared", "log mean", "log", "tweedie", "gamma", "poisson", "absolute"
                ),
            ),
        ),
        regressor(
            "XGBoostRegressor",
            "XGBoostClassifier",
            "xgboost",
            with_objectives(
                {**WIDER, "colsample_bytree": 1.0, "colsample_bynode": 0.5, "max_leaves": 15, "min_child_weight": 6.0}, "squared"
            ),
        ),
        regressor(
            "GradientBoosting",
            "GradientBoosting",
            "hist_gradient_boosting",
            with_objectives({**ALGORITHMS["GradientBoosting"].portfolio[0], "max_iter": 400, "min_samples_leaf": 20}, "squared"),
        ),
        regressor("CatBoost", "CatBoost", "catboost", with_objectives(ALGORITHMS["CatBoost"].portfolio[0], "squared", "log mean", "log")),
        Algorithm(
            name="ElasticNet",
            builder="pushline.training.automl.linear:elastic_net",
            portfolio=(
                {"alpha": 0.001, "l1_ratio": 0.5, "knots": 0},
                {"alpha": 0.0003, "l1_ratio": 0.5, "knots": 10},
                {"alpha": 0.05, "l1_ratio": 0.5, "knots": 0},
            ),
            space={"alpha": Range(1e-5, 1.0), "l1_ratio": Range(0.05, 1.0, log=False)},
        ),
        regressor("ExtremeRandomTrees", "ExtremeRandomTrees", "extra_trees", ALGORITHMS["ExtremeRandomTrees"].portfolio),
        regressor("RandomForest", "RandomForest", "random_forest", ALGORITHMS["RandomForest"].portfolio),
        regressor("DecisionTree", "DecisionTree", "decision_tree", ALGORITHMS["DecisionTree"].portfolio),
    )
}


class TargetRegressor:
    """A library's regressor, on the label itself or on its logarithm."""

    def __init__(self, model: Any, objective: str = "squared") -> None:
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


def split(parameters: dict[str, Any], names: dict[str, str]) -> tuple[str, str, dict[str, Any]]:
    """The objective, the library's name for its loss, and the other parameters."""
    objective = str(parameters.get("objective", "squared"))
    return objective, names.get(objective, names["squared"]), {key: value for key, value in parameters.items() if key != "objective"}


def lightgbm(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> TargetRegressor:
    from lightgbm import LGBMRegressor

    objective, loss, others = split(parameters, LIGHTGBM)
    fixed = {"deterministic": True, "force_row_wise": True, "subsample_freq": 1, "verbosity": -1}
    return TargetRegressor(LGBMRegressor(**others, **fixed, objective=loss, random_state=seed, n_jobs=threads), objective)


def xgboost(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> TargetRegressor:
    from xgboost import XGBRegressor

    objective, loss, others = split(parameters, XGBOOST)
    fixed = {"tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0, "verbosity": 0}
    return TargetRegressor(XGBRegressor(**others, **fixed, objective=loss, random_state=seed, n_jobs=threads), objective)


def hist_gradient_boosting(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> TargetRegressor:
    from sklearn.ensemble import HistGradientBoostingRegressor

    objective, loss, others = split(parameters, BOOSTING)
    return TargetRegressor(HistGradientBoostingRegressor(**others, loss=loss, early_stopping=False, random_state=seed), objective)


def catboost(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> TargetRegressor:
    from catboost import CatBoostRegressor

    objective, loss, others = split(parameters, CATBOOST)
    fixed = {"verbose": False, "allow_writing_files": False, "bootstrap_type": "Bernoulli"}
    return TargetRegressor(CatBoostRegressor(**others, **fixed, loss_function=loss, random_seed=seed, thread_count=threads), objective)


def extra_trees(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> TargetRegressor:
    from sklearn.ensemble import ExtraTreesRegressor

    return TargetRegressor(ExtraTreesRegressor(**parameters, random_state=seed, n_jobs=threads))


def random_forest(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> TargetRegressor:
    from sklearn.ensemble import RandomForestRegressor

    return TargetRegressor(RandomForestRegressor(**parameters, random_state=seed, n_jobs=threads))


def decision_tree(parameters: dict[str, Any], *, seed: int, threads: int, kinds: tuple[str, ...]) -> TargetRegressor:
    from sklearn.tree import DecisionTreeRegressor

    return TargetRegressor(DecisionTreeRegressor(**parameters, random_state=seed))
