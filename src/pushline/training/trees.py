"""Trained tree models of every library in one form, which the ONNX graph is written from.

One rule for all: a row goes left where its float32 value is at most the node's float32 threshold. Libraries that compare
otherwise are brought to it exactly (a double threshold is rounded down to float32, `x < t` becomes `x <= the float32 below t`),
so that no row changes sides between the library and the graph.
"""

import json
import math
from typing import Any

import numpy as np
from msgspec import Struct

from pushline.arrays import Floats

LEAF = -1
LOG_LINKS = ("poisson", "gamma", "tweedie")  # losses whose trees add up to a logarithm


class Tree(Struct, frozen=True, kw_only=True):
    """One tree as arrays over its nodes; node 0 is the root."""

    feature: np.ndarray[Any, Any]  # column of the matrix; LEAF for a leaf
    threshold: np.ndarray[Any, Any]  # float32
    left: np.ndarray[Any, Any]
    right: np.ndarray[Any, Any]
    missing_left: np.ndarray[Any, Any]  # bool: where NaN goes
    value: Floats  # [nodes, outputs]; read at leaves only
    outputs: tuple[int, ...]  # which outputs of the model the columns of `value` add to
    cover: Floats  # how many training rows, or how much of their weight, passed each node


class TreeModel(Struct, frozen=True, kw_only=True):
    """A sum of trees and what its outputs mean.

    `link`: `sigmoid` (one output, the log-odds of the second class), `softmax` (one output a class), `identity`
    (one output a class, already probabilities), or of a quantity `value` (the output itself) and `exp` (its logarithm).
    """

    trees: tuple[Tree, ...]
    base: tuple[float, ...]  # one value an output
    link: str
    shift: float = 0.0  # added behind the link


def trees_of(model: Any, classes: int) -> TreeModel:
    """The trees of a fitted model of LightGBM, XGBoost, CatBoost or scikit-learn.

    `classes` is 1 for a quantity. Raises TypeError for a model that is none of them.
    """
    kind = type(model).__name__
    readers = {
        "LGBM": from_lightgbm,
        "XGB": from_xgboost,
        "CatBoost": from_catboost,
        "HistGradientBoosting": from_hist_gradient_boosting,
        "RandomForest": from_forest,
        "ExtraTrees": from_forest,
        "DecisionTree": from_forest,
    }
    reader = readers.get(kind.removesuffix("Classifier").removesuffix("Regressor"))
    if reader is None:
        raise TypeError(f"{kind} is not a tree model that can be written as ONNX")
    return reader(model, classes)


def link_of(model: Any, classes: int) -> str:
    """What the sum of boosted trees means."""
    if classes > 1:
        return "sigmoid" if classes == 2 else "softmax"
    loss = str(getattr(model, "objective", None) or getattr(model, "loss", ""))
    return "exp" if any(name in loss for name in LOG_LINKS) else "value"


def round_down(values: Any) -> np.ndarray[Any, Any]:
    """The largest float32 that is not above each double."""
    exact = np.asarray(values, dtype=np.float64)
    limit = float(np.finfo(np.float32).max)
    rounded = np.clip(exact, -limit, limit).astype(np.float32)
    above = rounded.astype(np.float64) > exact
    with np.errstate(over="ignore"):  # below the smallest float32 comes minus infinity, which is right
        return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def below(values: Any) -> np.ndarray[Any, Any]:
    """The float32 just below each float32: `x < t` is `x <= below(t)`."""
    return np.nextafter(np.asarray(values, dtype=np.float32), np.float32(-np.inf))


def from_lightgbm(model: Any, classes: int) -> TreeModel:
    dump = model.booster_.dump_model()
    outputs = 1 if classes == 2 else classes
    trees = []
    for number, tree in enumerate(dump["tree_info"]):
        nodes: list[dict[str, Any]] = []
        collect_lightgbm(tree["tree_structure"], nodes)
        trees.append(
            Tree(
                feature=np.array([node["feature"] for node in nodes], dtype=np.int64),
                threshold=round_down([node["threshold"] for node in nodes]),
                left=np.array([node["left"] for node in nodes], dtype=np.int64),
                right=np.array([node["right"] for node in nodes], dtype=np.int64),
                missing_left=np.array([node["missing_left"] for node in nodes], dtype=bool),
                value=np.array([[node["value"]] for node in nodes], dtype=np.float64),
                outputs=(number % outputs,),
                cover=np.array([node["cover"] for node in nodes], dtype=np.float64),
            )
        )
    return TreeModel(trees=tuple(trees), base=(0.0,) * outputs, link=link_of(model, classes))


def collect_lightgbm(root: dict[str, Any], nodes: list[dict[str, Any]]) -> None:
    """Flatten LightGBM's nested nodes; NaN counts as 0 in a column that had none in training."""
    waiting: list[tuple[dict[str, Any], int, str]] = [(root, LEAF, "")]
    while waiting:
        node, parent, side = waiting.pop()
        place = len(nodes)
        if parent != LEAF:
            nodes[parent][side] = place
        if "split_feature" not in node:
            ends = {"feature": LEAF, "threshold": 0.0, "left": 0, "right": 0, "missing_left": False}
            nodes.append({**ends, "value": node["leaf_value"], "cover": node.get("leaf_count", 0)})
            continue
        threshold = float(node["threshold"])
        missing_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
        split = {"feature": node["split_feature"], "threshold": threshold, "left": 0, "right": 0, "missing_left": missing_left}
        nodes.append({**split, "value": 0.0, "cover": node["internal_count"]})
        waiting += [(node["right_child"], place, "right"), (node["left_child"], place, "left")]


def from_xgboost(model: Any, classes: int) -> TreeModel:
    learner = json.loads(model.get_booster().save_raw("json"))["learner"]
    outputs = 1 if classes == 2 else classes
    booster = learner["gradient_booster"]["model"]
    trees = []
    for tree, output in zip(booster["trees"], booster["tree_info"], strict=True):
        left = np.array(tree["left_children"], dtype=np.int64)
        leaf = left == -1
        conditions = np.array(tree["split_conditions"], dtype=np.float32)
        trees.append(
            Tree(
                feature=np.where(leaf, LEAF, np.array(tree["split_indices"], dtype=np.int64)),
                threshold=below(conditions),
                left=np.where(leaf, 0, left),
                right=np.where(leaf, 0, np.array(tree["right_children"], dtype=np.int64)),
                missing_left=np.array(tree["default_left"], dtype=bool),
                value=np.where(leaf, conditions, 0).astype(np.float64)[:, None],
                outputs=(int(output),),
                cover=np.array(tree["sum_hessian"], dtype=np.float64),
            )
        )
    score = float(np.ravel(json.loads(str(learner["learner_model_param"]["base_score"])))[0])
    link = link_of(model, classes)
    # Kept as a probability by the logistic objective, as a value by those of a logarithm, as a raw score by the others.
    base = math.log(score / (1 - score)) if link == "sigmoid" else math.log(score) if link == "exp" else score
    return TreeModel(trees=tuple(trees), base=(base,) * outputs, link=link)


def from_catboost(model: Any, classes: int) -> TreeModel:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.json"
        model.save_model(str(file), format="json")
        dump = json.loads(file.read_bytes())
    outputs = 1 if classes == 2 else classes
    features = dump["features_info"]["float_features"]
    column = {number: int(feature["flat_feature_index"]) for number, feature in enumerate(features)}
    missing_left = {number: feature.get("nan_value_treatment", "AsIs") != "AsTrue" for number, feature in enumerate(features)}
    trees = [oblivious(tree, column, missing_left, outputs) for tree in dump["oblivious_trees"]]
    scale, bias = dump["scale_and_bias"]
    bias = list(np.ravel(bias)) if np.size(bias) else [0.0]
    base = tuple(float(bias[number] if len(bias) > 1 else bias[0]) for number in range(outputs))
    if scale != 1:
        trees = [Tree(**{name: getattr(tree, name) for name in Tree.__struct_fields__} | {"value": tree.value * scale}) for tree in trees]
    return TreeModel(trees=tuple(trees), base=base, link=link_of(model, classes))


def oblivious(tree: dict[str, Any], column: dict[int, int], missing_left: dict[int, bool], outputs: int) -> Tree:
    """A tree whose levels share one split each, unfolded: the first split is the lowest bit of the leaf's number."""
    splits = tree.get("splits") or []
    depth = len(splits)
    inner = 2**depth - 1
    total = inner + 2**depth
    feature = np.full(total, LEAF, dtype=np.int64)
    threshold = np.zeros(total, dtype=np.float32)
    missing = np.zeros(total, dtype=bool)
    left = np.zeros(total, dtype=np.int64)
    right = np.zeros(total, dtype=np.int64)
    value = np.zeros((total, outputs))
    leaves = np.array(tree["leaf_values"], dtype=np.float64).reshape(2**depth, outputs)
    for node in range(inner):
        level = (node + 1).bit_length() - 1
        split = splits[depth - 1 - level]
        feature[node] = column[split["float_feature_index"]]
        threshold[node] = np.float32(split["border"])
        missing[node] = missing_left[split["float_feature_index"]]
        left[node], right[node] = 2 * node + 1, 2 * node + 2
    value[inner:] = leaves
    cover = np.zeros(total)
    cover[inner:] = tree["leaf_weights"]
    for node in reversed(range(inner)):
        cover[node] = cover[2 * node + 1] + cover[2 * node + 2]
    return Tree(
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        missing_left=missing,
        value=value,
        outputs=tuple(range(outputs)),
        cover=cover,
    )


def from_hist_gradient_boosting(model: Any, classes: int) -> TreeModel:
    trees = []
    for iteration in model._predictors:
        for output, predictor in enumerate(iteration):
            nodes = predictor.nodes
            leaf = nodes["is_leaf"].astype(bool)
            trees.append(
                Tree(
                    feature=np.where(leaf, LEAF, nodes["feature_idx"].astype(np.int64)),
                    threshold=round_down(nodes["num_threshold"]),
                    left=np.where(leaf, 0, nodes["left"].astype(np.int64)),
                    right=np.where(leaf, 0, nodes["right"].astype(np.int64)),
                    missing_left=nodes["missing_go_to_left"].astype(bool),
                    value=nodes["value"].astype(np.float64)[:, None],
                    outputs=(output,),
                    cover=nodes["count"].astype(np.float64),
                )
            )
    base = tuple(float(value) for value in np.ravel(model._baseline_prediction))
    return TreeModel(trees=tuple(trees), base=base, link=link_of(model, classes))


def from_forest(model: Any, classes: int) -> TreeModel:
    members = getattr(model, "estimators_", [model])
    trees = []
    for member in members:
        tree = member.tree_
        leaf = tree.children_left == -1
        counts = tree.value[:, 0, :]
        trees.append(
            Tree(
                feature=np.where(leaf, LEAF, tree.feature),
                threshold=round_down(tree.threshold),
                left=np.where(leaf, 0, tree.children_left),
                right=np.where(leaf, 0, tree.children_right),
                missing_left=tree.missing_go_to_left.astype(bool),
                value=(counts if classes == 1 else counts / counts.sum(axis=1, keepdims=True)) / len(members),
                outputs=tuple(range(classes)),
                cover=tree.weighted_n_node_samples,
            )
        )
    return TreeModel(trees=tuple(trees), base=(0.0,) * classes, link="identity" if classes > 1 else "value")
