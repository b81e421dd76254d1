"""Prediction intervals of a quantity: conformal half-widths from residuals out of fold, as nodes at the end of the graph.

Of n exchangeable absolute residuals the ceil((n + 1) * level)-th smallest is exceeded by a new one with a chance of at most
1 - level (Vovk, Gammerman and Shafer 2005, chapter 2). The residuals are out of fold and the model is fitted on all rows
(Barber et al. 2021, section 2.4), so it errs a little less than they say. With rows enough the same is done within ranges of
the predicted value (Mondrian), because large values are mostly less certain. Where the graph has quantiles too
the interval is theirs, moved by the conformal quantile of how far labels lie outside of it, if that is narrower.
"""

import math
from typing import Any

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats, Mask
from pushline.data.contract import Column
from pushline.serving.model_folder import MATRIX_INPUT, PREDICTIONS
from pushline.training.automl.trials import Folds
from pushline.training.features import FEATURES
from pushline.training.graph import QUANTILES, tree_attributes
from pushline.training.nodes import Nodes, floats

RANGES = 5  # of the predicted value at most
ROWS_A_RANGE = 200
NARROWER = 0.95  # of the mean width, from which quantiles are worth it
SHARES = (0.05, 0.95)  # that lie below
FEWEST = 1000  # rows below which a tail is too thin to learn
LEARNED = 30_000  # rows at most
CELLS = 20_000_000  # of the matrix, above which it would take longer than it is worth
PARAMETERS = {"n_estimators": 120, "num_leaves": 15, "learning_rate": 0.06, "min_child_samples": 30, "subsample": 0.8, "subsample_freq": 1}


class PredictionInterval(Struct, frozen=True, kw_only=True):
    """Half of the interval's width by the range that the predicted value is in, or what is beyond the quantiles; the label's bounds."""

    level: float
    edges: tuple[float, ...]  # where the second and each later range begins
    widths: tuple[float, ...]  # one more than edges
    beyond: float | None = None  # both quantiles are moved outwards by that; None: they are not used
    minimum: float | None = None
    maximum: float | None = None


def fit_interval(labels: Floats, predictions: Floats, level: float, label: Column) -> PredictionInterval:
    """The interval of predictions, [rows, 1] or with quantiles [rows, 3], that no model made for rows it had seen."""
    value, quantiles = predictions[:, 0], predictions[:, 1:]
    ranges = max(1, min(RANGES, len(labels) // ROWS_A_RANGE))
    edges = np.unique(np.quantile(value, np.arange(1, ranges) / ranges).astype(np.float32))
    place = np.searchsorted(edges, value.astype(np.float32), side="right")
    residuals = np.abs(labels - value)
    whole = half_width(residuals, level)
    widths = np.array([half_width(residuals[place == at], level) if np.any(place == at) else whole for at in range(len(edges) + 1)])
    beyond = None
    if quantiles.shape[1]:
        low, high = quantiles.T
        moved = half_width(np.maximum(low - labels, labels - high), level)
        width = np.mean(np.maximum(high + moved, value) - np.minimum(low - moved, value))
        beyond = moved if width < NARROWER * np.mean(2 * widths[place]) else None
    return PredictionInterval(
        level=level,
        edges=tuple(map(float, edges)),
        widths=tuple(map(float, widths)),
        beyond=beyond,
        minimum=label.minimum,
        maximum=label.maximum,
    )


def half_width(residuals: Floats, level: float) -> float:
    """The conformal quantile of residuals; the largest where there are too few for the level."""
    rank = min(len(residuals), math.ceil((len(residuals) + 1) * level))
    return float(np.sort(residuals)[rank - 1])


def with_interval(model: bytes, interval: PredictionInterval) -> bytes:
    """The numeric graph of a quantity with low and high behind its value, without what they don't need."""
    import onnx

    graph = onnx.load_from_string(model).graph
    value, unused = graph.output[0].name, QUANTILES if interval.beyond is None else ""
    nodes = Nodes("interval/", behind=graph)
    nodes.nodes = [node for node in graph.node if unused not in node.output]
    if interval.beyond is None:
        apart = nodes.add("TreeEnsembleRegressor", [value], domain="ai.onnx.ml", **offsets(interval))
        whole = nodes.add("Add", [value, apart])
    else:
        moved = nodes.add("Add", [QUANTILES, nodes.constant([[-interval.beyond, interval.beyond]])])
        low, high = (nodes.add("Gather", [moved, nodes.constant([side], np.int64)], axis=1) for side in (0, 1))
        whole = nodes.add("Concat", [value, nodes.add("Min", [value, low]), nodes.add("Max", [value, high])], axis=1)
    limits = [-math.inf if interval.minimum is None else interval.minimum, math.inf if interval.maximum is None else interval.maximum]
    nodes.add("Clip", [whole, *map(nodes.constant, limits)], output=PREDICTIONS)
    given = [each for each in graph.input if each.name == MATRIX_INPUT]
    return bytes(nodes.model(given, [floats(PREDICTIONS, 3)]).SerializeToString())


def offsets(interval: PredictionInterval) -> dict[str, Any]:
    """The attributes of a tree from the value to what is added for value, low and high: one node a border, a leaf on either side."""
    borders, leaves = len(interval.edges), len(interval.widths)
    nodes = range(borders + leaves)  # the borders in their order, then the leaf below each of them, then the last leaf
    targets = [
        (borders + leaf, target, sign * width) for leaf, width in enumerate(interval.widths) for target, sign in ((0, 0), (1, -1), (2, 1))
    ]
    return {
        "nodes_treeids": [0] * len(nodes),
        "nodes_nodeids": list(nodes),
        "nodes_featureids": [0] * len(nodes),
        "nodes_values": [*interval.edges, *(0.0 for _ in interval.widths)],
        "nodes_modes": ["BRANCH_LT"] * borders + ["LEAF"] * leaves,
        "nodes_truenodeids": [borders + node if node < borders else 0 for node in nodes],
        "nodes_falsenodeids": [node + 1 if node < borders - 1 else borders + leaves - 1 if node < borders else 0 for node in nodes],
        "target_treeids": [0] * len(targets),
        "target_nodeids": [node for node, _, _ in targets],
        "target_ids": [target for _, target, _ in targets],
        "target_weights": [float(weight) for _, _, weight in targets],
        "n_targets": 3,
    }


def with_quantiles(
    model: bytes, matrix: Floats, labels: Floats, folds: Folds, judged: Mask, *, seed: int, threads: int
) -> tuple[bytes, Floats] | None:
    """The graph with quantiles behind its value, and those of the judged rows out of fold; None where they are not worth it.

    Two boosted models of the pinball loss (Koenker and Bassett 1978) say between what a row's label lies. `fit_interval` makes their
    answers hold (conformalised quantile regression: Romano, Patterson and Candès 2019), and uses them where that is narrower.
    """
    if len(labels) < FEWEST or matrix.size > CELLS:
        return None
    answers = np.empty((len(labels), len(SHARES)))
    for fold in np.unique(folds.of[judged]):
        known = folds.of < fold if folds.forward else folds.of != fold
        models = fitted(matrix[known], labels[known], seed, threads)
        answers[folds.of == fold] = np.column_stack([each.predict(matrix[folds.of == fold]) for each in models])
    return with_output(model, fitted(matrix, labels, seed, threads)), answers[judged]


def fitted(matrix: Floats, labels: Floats, seed: int, threads: int) -> list[Any]:
    """A model for each of SHARES."""
    from lightgbm import LGBMRegressor

    if len(labels) > LEARNED:
        rows = np.random.default_rng(seed).permutation(len(labels))[:LEARNED]
        matrix, labels = matrix[rows], labels[rows]
    fixed: dict[str, Any] = {"deterministic": True, "force_row_wise": True, "verbosity": -1, "n_jobs": threads, "random_state": seed}
    return [LGBMRegressor(objective="quantile", alpha=share, **PARAMETERS, **fixed).fit(matrix, labels) for share in SHARES]


def with_output(model: bytes, quantiles: list[Any]) -> bytes:
    import onnx

    from pushline.training.trees import trees_of

    graph = onnx.load_from_string(model).graph
    source = FEATURES if any(FEATURES in node.output for node in graph.node) else MATRIX_INPUT
    nodes = Nodes("quantiles/", behind=graph)
    members = [(trees_of(each, 1), 1.0) for each in quantiles]
    nodes.add("TreeEnsembleRegressor", [source], output=QUANTILES, domain="ai.onnx.ml", **tree_attributes(members))
    return bytes(nodes.model(graph.input, [*graph.output, floats(QUANTILES, len(SHARES))]).SerializeToString())
