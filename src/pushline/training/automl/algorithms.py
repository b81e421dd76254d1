"""The algorithms AutoML may use: how each is built, where the search begins and how far it may go.

Every one of them can be written as ONNX; a test holds the graph and the library together for each.
"""

import numpy as np
from msgspec import Struct, structs

from pushline.arrays import Floats
from pushline.training.graph import bytes_of_tree

Value = float | int | str | bool
WIDER: dict[str, Value] = {"n_estimators": 500, "learning_rate": 0.05, "subsample": 0.8, "reg_lambda": 1.0}
# `objective`: the loss, or the scale on which squared errors are learned. `log mean` is brought back to the mean, `log` is the median.
OF_MEDIANS = ("mae", "mape")  # metrics that the median serves, and not the mean


class Range(Struct, frozen=True):
    """What the search may choose for one parameter; whole numbers where `low` is one."""

    low: float | int
    high: float | int
    log: bool = True


class Algorithm(Struct, frozen=True, kw_only=True):
    """One family of models."""

    name: str  # as Azure writes it, where Azure has it
    builder: str  # module:class of a library, or module:function(parameters, seed, threads, kinds) -> an estimator; see libraries.py
    portfolio: tuple[dict[str, Value], ...]  # tried first, in this order
    deep: tuple[dict[str, Value], ...] = ()  # tried behind the first of them where rows are many
    classes: int = 1  # of the table; see `within`
    space: dict[str, Range]  # searched from the first of the portfolio
    on_azure: bool = True
    patient: bool = False  # tried where it is asked for by name, or where there is a lot of time


class Candidate(Struct, frozen=True, kw_only=True):
    """An algorithm with its parameters: what a trial tries."""

    name: str
    algorithm: str
    builder: str
    parameters: dict[str, Value]


SLOW: dict[str, Value] = {"n_estimators": 250, "learning_rate": 0.03, "subsample": 0.8, "reg_lambda": 5.0}
BOOSTING = {
    "n_estimators": Range(100, 600),
    "learning_rate": Range(0.01, 0.2),
    "colsample_bytree": Range(0.2, 1.0, log=False),
    "subsample": Range(0.5, 1.0, log=False),
    "reg_lambda": Range(0.01, 100.0),
}
DEEP: dict[str, Value] = {"n_estimators": 300, "learning_rate": 0.06, "subsample": 0.8, "reg_lambda": 1.0, "colsample_bytree": 1.0}
FOREST = {"max_leaf_nodes": Range(16, 400), "min_samples_leaf": Range(1, 100), "max_features": Range(0.1, 1.0, log=False)}

# In the order in which they are tried. Slow and regularised first: facts and bench say that this wins or comes close on
# tables of this kind (docs/decisions/0040-automl-search.md), and LightGBM needs under a second for it.
ALGORITHMS: dict[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(
            name="LightGBM",
            builder="lightgbm:LGBMClassifier",
            # Columns drawn for each split, or for each tree: where one column decides most, trees without it are lost.
            portfolio=(
                {**SLOW, "colsample_bytree": 1.0, "feature_fraction_bynode": 0.5, "num_leaves": 15, "min_child_samples": 60},
                {**SLOW, "colsample_bytree": 0.5, "feature_fraction_bynode": 1.0, "num_leaves": 15, "min_child_samples": 60},
            ),
            deep=({**DEEP, "feature_fraction_bynode": 0.6, "num_leaves": 63, "min_child_samples": 20},),
            space={
                **BOOSTING,
                "feature_fraction_bynode": Range(0.2, 1.0, log=False),
                "num_leaves": Range(4, 63),
                "min_child_samples": Range(5, 300),
            },
        ),
        Algorithm(
            name="XGBoostClassifier",
            builder="xgboost:XGBClassifier",
            portfolio=({**SLOW, "colsample_bytree": 1.0, "colsample_bynode": 0.5, "max_leaves": 15, "min_child_weight": 6.0},),
            deep=({**DEEP, "colsample_bynode": 0.6, "max_leaves": 63, "min_child_weight": 2.0},),
            space={
                **BOOSTING,
                "colsample_bynode": Range(0.2, 1.0, log=False),
                "max_leaves": Range(4, 63),
                "min_child_weight": Range(0.5, 50.0),
            },
        ),
        Algorithm(
            name="GradientBoosting",
            builder="sklearn.ensemble:HistGradientBoostingClassifier",
            portfolio=(
                {
                    "max_iter": 250,
                    "learning_rate": 0.03,
                    "max_leaf_nodes": 15,
                    "min_samples_leaf": 60,
                    "l2_regularization": 5.0,
                    "max_features": 0.5,
                },
            ),
            space={
                "max_iter": Range(100, 600),
                "learning_rate": Range(0.01, 0.2),
                "max_leaf_nodes": Range(4, 63),
                "min_samples_leaf": Range(5, 300),
                "l2_regularization": Range(0.01, 100.0),
                "max_features": Range(0.2, 1.0, log=False),
            },
        ),
        Algorithm(
            name="CatBoost",
            builder="catboost:CatBoostClassifier",
            portfolio=({"iterations": 300, "learning_rate": 0.06, "depth": 6, "l2_leaf_reg": 5.0, "rsm": 0.5},),
            space={
                "iterations": Range(100, 500),
                "learning_rate": Range(0.02, 0.3),
                "depth": Range(3, 7, log=False),
                "l2_leaf_reg": Range(0.5, 50.0),
                "rsm": Range(0.2, 1.0, log=False),
            },
            on_azure=False,
        ),
        Algorithm(
            name="LogisticRegression",
            builder="pushline.training.automl.linear:logistic_regression",
            portfolio=({"C": 1.0, "knots": 0}, {"C": 1.0, "knots": 10}),
            space={"C": Range(0.001, 100.0)},
        ),
        Algorithm(
            name="ExtremeRandomTrees",
            builder="sklearn.ensemble:ExtraTreesClassifier",
            portfolio=({"n_estimators": 100, "max_leaf_nodes": 300, "min_samples_leaf": 5, "max_features": 0.7},),
            space=FOREST,
            patient=True,
        ),
        Algorithm(
            name="RandomForest",
            builder="sklearn.ensemble:RandomForestClassifier",
            portfolio=({"n_estimators": 100, "max_leaf_nodes": 200, "min_samples_leaf": 5, "max_features": 0.4},),
            space=FOREST,
            patient=True,
        ),
        Algorithm(
            name="DecisionTree",
            builder="sklearn.tree:DecisionTreeClassifier",
            portfolio=({"max_leaf_nodes": 31, "min_samples_leaf": 50},),
            space={"max_leaf_nodes": Range(4, 200), "min_samples_leaf": Range(5, 500)},
            patient=True,
        ),
    )
}


LEAVES = ("min_child_samples", "min_child_weight", "min_samples_leaf")
FULL_LEAVES = 2_000  # rows from which on the portfolio's leaves are as they are written
MANY_ROWS = 5_000  # from which on deep trees are worth their time
LARGEST = 4_500_000  # bytes of the served graph: it has to load fast and answer in a fraction of a millisecond
FASTEST = 0.3  # learning rate that fewer rounds may have


def for_table(algorithm: Algorithm, rows: int, classes: int) -> Algorithm:
    """The algorithm for a table: a leaf of sixty rows would leave a hundred without a split, and every class needs trees of its own."""
    share = min(1.0, rows / FULL_LEAVES)

    def fitting(name: str, value: Value) -> Value:
        if name not in LEAVES or name not in algorithm.space or isinstance(value, str):
            return value
        return max(algorithm.space[name].low, round(value * share) if isinstance(value, int) else value * share)

    first, *others = algorithm.portfolio
    wanted = (first, *(algorithm.deep if rows >= MANY_ROWS else ()), *others)
    portfolio = tuple(within({name: fitting(name, value) for name, value in one.items()}, classes) for one in wanted)
    return structs.replace(algorithm, portfolio=portfolio, classes=classes)


def within(parameters: dict[str, Value], classes: int) -> dict[str, Value]:
    """The parameters with as many rounds as a model that can be served has room for, and a learning rate that makes up for them."""
    rounds = next((name for name in ("n_estimators", "iterations", "max_iter") if name in parameters), None)
    if rounds is None:
        return parameters
    said = {name: float(value) for name, value in parameters.items() if not isinstance(value, str)}
    leaves = next((said[name] for name in ("num_leaves", "max_leaves", "max_leaf_nodes") if name in said), 2 ** said.get("depth", 6))
    shared = rounds == "iterations" or "learning_rate" not in said  # one tree holds all classes: CatBoost, forests
    trees = 1 if shared or classes == 2 else classes
    room = int(0.9 * LARGEST / (trees * bytes_of_tree(int(2 * leaves), classes if shared else 1)))
    if said[rounds] <= room:
        return parameters
    faster = {"learning_rate": min(FASTEST, said["learning_rate"] * said[rounds] / room)} if "learning_rate" in said else {}
    return {**parameters, rounds: room, **faster}


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
