"""The algorithms AutoML may use for a quantity: the libraries of the classifiers, with the losses that the label admits."""

import numpy as np
from msgspec import structs

from pushline.arrays import Floats
from pushline.training.automl.algorithms import ALGORITHMS, SLOW, Algorithm, Range, Value

WIDER: dict[str, Value] = {"n_estimators": 500, "learning_rate": 0.05, "subsample": 0.8, "reg_lambda": 1.0}
# `objective`: the loss, or the scale on which squared errors are learned. `log mean` is brought back to the mean, `log` is the median.
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


def regressor(known_as: str, *portfolio: dict[str, Value]) -> Algorithm:
    """The regressor beside a classifier: the same space, and another portfolio where one is given."""
    known = ALGORITHMS[known_as]
    name, builder = (said.replace("Classifier", "Regressor") for said in (known.name, known.builder))
    return structs.replace(known, name=name, builder=builder, portfolio=portfolio or known.portfolio, deep=())


def with_objectives(parameters: dict[str, Value], *objectives: str) -> tuple[dict[str, Value], ...]:
    return tuple({"objective": objective, **parameters} for objective in objectives)


LEAF = {"colsample_bytree": 1.0, "feature_fraction_bynode": 0.5, "num_leaves": 15, "min_child_samples": 20}
REGRESSORS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        regressor(
            "LightGBM",
            *with_objectives({**SLOW, **LEAF}, "squared"),
            *with_objectives({**WIDER, **LEAF, "num_leaves": 31}, "squared", "log mean", "log", "tweedie", "gamma", "poisson", "absolute"),
        ),
        regressor(
            "XGBoostClassifier",
            *with_objectives(
                {**WIDER, "colsample_bytree": 1.0, "colsample_bynode": 0.5, "max_leaves": 15, "min_child_weight": 6.0}, "squared"
            ),
        ),
        regressor(
            "GradientBoosting",
            *with_objectives({**ALGORITHMS["GradientBoosting"].portfolio[0], "max_iter": 400, "min_samples_leaf": 20}, "squared"),
        ),
        regressor("CatBoost", *with_objectives(ALGORITHMS["CatBoost"].portfolio[0], "squared", "log mean", "log")),
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
        *map(regressor, ("ExtremeRandomTrees", "RandomForest", "DecisionTree")),
    )
}
