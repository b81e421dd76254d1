"""Quantiles of a quantity as a second output of its graph, for intervals that follow the features and not the value alone.

Two boosted models of the pinball loss (Koenker and Bassett 1978) say between what a row's label lies; interval.py makes their
answers hold (conformalised quantile regression: Romano, Patterson and Candès 2019), and uses them where that is narrower.
"""

from typing import Any

import numpy as np

from pushline.arrays import Floats, Mask
from pushline.serving.model_folder import MATRIX_INPUT
from pushline.training.automl.trials import Folds
from pushline.training.features import FEATURES
from pushline.training.graph import QUANTILES, tree_attributes
from pushline.training.nodes import Nodes, model_of

SHARES = (0.05, 0.95)  # that lie below
FEWEST = 1000  # rows below which a tail is too thin to learn
LEARNED = 30_000  # rows at most
CELLS = 20_000_000  # of the matrix, above which it would take longer than it is worth
PARAMETERS = {"n_estimators": 120, "num_leaves": 15, "learning_rate": 0.06, "min_child_samples": 30, "subsample": 0.8, "subsample_freq": 1}


def with_quantiles(
    model: bytes, matrix: Floats, labels: Floats, folds: Folds, judged: Mask, *, seed: int, threads: int
) -> tuple[bytes, Floats] | None:
    """The graph with the quantiles behind its value, and those of the judged rows out of fold; None where they are not worth it."""
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
    from onnx import TensorProto, helper

    from pushline.training.trees import trees_of

    graph = onnx.load_from_string(model).graph
    source = FEATURES if any(FEATURES in node.output for node in graph.node) else MATRIX_INPUT
    nodes = Nodes(prefix="quantiles/")
    members = [(trees_of(each, 1), 1.0) for each in quantiles]
    nodes.add("TreeEnsembleRegressor", [source], output=QUANTILES, domain="ai.onnx.ml", **tree_attributes(members))
    return bytes(
        model_of(
            helper.make_graph(
                [*graph.node, *nodes.nodes],
                graph.name,
                graph.input,
                [*graph.output, helper.make_tensor_value_info(QUANTILES, TensorProto.FLOAT, [None, len(SHARES)])],
                [*graph.initializer, *nodes.constants],
            )
        ).SerializeToString()
    )
