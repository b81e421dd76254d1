"""The ONNX graph of a fitted model, written node by node: from the numeric matrix to probabilities, or to a quantity.

All tree members of a vote share one `TreeEnsembleRegressor`, a group of its outputs each, so that a vote costs one
operator and not one a member.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from pushline.data.contract.encoding import Encoding
from pushline.serving.model_folder import MATRIX_INPUT, PROBABILITIES
from pushline.training.features import Feature, with_features
from pushline.training.nodes import Nodes, floats
from pushline.training.trees import LEAF, TreeModel

BYTES_A_NODE, BYTES_AN_OUTPUT = 34, 12  # of a tree; of a leaf, beyond its first output
SMALLEST = 1e-7  # a probability of 0 has no logarithm
VALUE, QUANTILES = "value", "quantiles"  # the outputs for a quantity, before its interval
LINKS = {"sigmoid": "Sigmoid", "exp": "Exp", "value": "Identity"}  # of models with one output


class Calibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probabilities brought to observed frequencies: scores (log-odds, or log-probabilities) times `slope` plus `shift`."""

    slope: float = 1.0
    shift: float = 0.0

    @property
    def changes_nothing(self) -> bool:
        return self.slope == 1.0 and self.shift == 0.0


class Linear(Struct, frozen=True, kw_only=True):
    """A linear model on standardised numbers and one-hot codes; see automl/linear.py."""

    fill: np.ndarray[Any, Any]  # [numbers] instead of NaN
    numbers: tuple[int, ...]  # columns of the matrix
    mean: np.ndarray[Any, Any]
    scale: np.ndarray[Any, Any]
    missing: tuple[int, ...] = ()  # columns of the matrix of which it counts whether they are NaN
    categories: tuple[tuple[int, int], ...]  # column of the matrix, count of its codes from -1 on
    weights: np.ndarray[Any, Any]  # [numbers + missing + all codes, outputs]
    bias: np.ndarray[Any, Any]  # [outputs]
    bounded: bool = False  # standardised numbers are cut to 0 and 1: the pieces of a spline


GraphPart = TreeModel | Linear


class TargetMeans(Struct, frozen=True, kw_only=True):
    """Means of the label for the codes of some columns, which stand behind the matrix; see automl/target_means.py."""

    columns: tuple[int, ...]  # of the matrix
    tops: tuple[int, ...]  # of each, the row of its table for codes that training did not have
    table: np.ndarray[Any, Any]  # float32 [codes from -1 on of all columns, outputs]

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where the table of each column begins."""
        return tuple(int(start) for start in np.cumsum([0, *(top + 1 for top in self.tops)])[:-1])


def size_of(part: GraphPart) -> int:
    """About how many bytes a part takes in the graph."""
    if isinstance(part, Linear):
        return part.weights.nbytes
    return sum(bytes_of_tree(len(tree.feature), len(tree.outputs)) for tree in part.trees)


def bytes_of_tree(nodes: int, outputs: int) -> int:
    """About how many bytes a tree takes in the graph: every leaf names each of its outputs."""
    return BYTES_A_NODE * nodes + BYTES_AN_OUTPUT * (outputs - 1) * (nodes + 1) // 2


def matrix_graph(
    parts: Sequence[GraphPart],
    weights: Sequence[float],
    calibration: Calibration,
    *,
    columns: int,
    classes: int,
    features: Sequence[Feature] = (),
    encoding: Encoding | None = None,
    means: TargetMeans | None = None,
) -> Any:
    """The graph from the float32 matrix [rows, columns] to probabilities [rows, classes] of a weighted vote of `parts`.

    `classes` of 1 says that the label is a quantity: the output is its value.
    With derived `features`, which the graph computes behind the columns that `encoding` names, and `means` of the label
    behind those, the parts read all of them.
    """
    nodes = Nodes()
    source = with_features(nodes, features, encoding) if encoding is not None else MATRIX_INPUT
    source = with_means(nodes, source, means) if means is not None else source
    probabilities: list[str] = []
    trees = [(part, weight) for part, weight in zip(parts, weights, strict=True) if isinstance(part, TreeModel)]
    if trees:
        probabilities.append(vote_of_trees(nodes, trees, classes, source))
    for part, weight in zip(parts, weights, strict=True):
        if isinstance(part, Linear):
            scores = linear_scores(nodes, part, source)
            probabilities.append(nodes.add("Mul", [linked(nodes, scores, classes), nodes.constant(weight)]))
    shift = sum(weight * part.shift for part, weight in trees)
    if shift:
        probabilities.append(nodes.constant(shift))
    finish(nodes, calibrated(nodes, nodes.sum(probabilities), calibration, classes), classes)
    return nodes.model([floats(MATRIX_INPUT, columns)], [floats(PROBABILITIES if classes > 1 else VALUE, classes)])


def with_means(nodes: Nodes, source: str, means: TargetMeans) -> str:
    """The matrix with the means of the label behind its columns."""
    codes = nodes.add("Gather", [source, nodes.constant(means.columns, np.int64)], axis=1)
    known = nodes.add("Min", [nodes.add("Add", [codes, nodes.constant(1.0)]), nodes.constant(means.tops)])
    rows = nodes.add("Cast", [nodes.add("Add", [known, nodes.constant(means.offsets)])], to=7)
    found = nodes.add("Flatten", [nodes.add("Gather", [nodes.constant(means.table), rows], axis=0)], axis=1)
    return nodes.add("Concat", [source, found], axis=1)


def finish(nodes: Nodes, probabilities: str, classes: int) -> None:
    """The output: one column a class. Binary graphs carry the second class's probability until here."""
    if classes == 2:
        rest = nodes.add("Sub", [nodes.constant([1.0]), probabilities])
        nodes.add("Concat", [rest, probabilities], output=PROBABILITIES, axis=1)
    else:
        nodes.add("Identity", [probabilities], output=PROBABILITIES if classes > 1 else VALUE)


def vote_of_trees(nodes: Nodes, members: Sequence[tuple[TreeModel, float]], classes: int, source: str) -> str:
    """The weighted probabilities of tree members: [rows, 1] for two classes or a quantity, [rows, classes] otherwise."""
    raw = nodes.add("TreeEnsembleRegressor", [source], domain="ai.onnx.ml", **tree_attributes(members))
    summed: list[str] = []
    start = 0
    kinds: dict[str, list[tuple[int, int, float]]] = {}
    for model, weight in members:
        kinds.setdefault(model.link, []).append((start, len(model.base), weight))
        start += len(model.base)
    for link, spans in kinds.items():
        if link in LINKS:
            chosen = gather(nodes, raw, [begin for begin, _, _ in spans], start)
            summed.append(nodes.add("MatMul", [nodes.add(LINKS[link], [chosen]), nodes.constant([[weight] for _, _, weight in spans])]))
            continue
        for begin, width, weight in spans:
            span = gather(nodes, raw, list(range(begin, begin + width)), start)
            if link == "softmax":
                span = nodes.add("Softmax", [span], axis=1)
            elif classes == 2:
                span = gather(nodes, span, [1], 2)
            summed.append(nodes.add("Mul", [span, nodes.constant(weight)]))
    return nodes.sum(summed)


def gather(nodes: Nodes, values: str, columns: list[int], width: int) -> str:
    if columns == list(range(width)):
        return values
    return nodes.add("Gather", [values, nodes.constant(columns, np.int64)], axis=1)


def tree_attributes(members: Sequence[tuple[TreeModel, float]]) -> dict[str, Any]:
    """The attributes of one TreeEnsembleRegressor that holds all trees of all members."""
    columns = defaultdict[str, list[Any]](list)
    base: list[float] = []
    number = 0
    for model, _ in members:
        for tree in model.trees:
            count = len(tree.feature)
            leaf = tree.feature == LEAF
            columns["nodes_treeids"] += [number] * count
            columns["nodes_nodeids"] += range(count)
            columns["nodes_featureids"] += np.where(leaf, 0, tree.feature).tolist()
            columns["nodes_values"] += np.where(leaf, np.float32(0), tree.threshold).tolist()
            columns["nodes_modes"] += ["LEAF" if is_leaf else "BRANCH_LEQ" for is_leaf in leaf]
            columns["nodes_truenodeids"] += tree.left.tolist()
            columns["nodes_falsenodeids"] += tree.right.tolist()
            columns["nodes_missing_value_tracks_true"] += np.where(leaf, 0, tree.missing_left).astype(int).tolist()
            for node in np.flatnonzero(leaf).tolist():
                for column, output in enumerate(tree.outputs):
                    columns["target_treeids"].append(number)
                    columns["target_nodeids"].append(node)
                    columns["target_ids"].append(len(base) + output)
                    columns["target_weights"].append(float(tree.value[node, column]))
            number += 1
        base += model.base
    if not any(columns["nodes_missing_value_tracks_true"]):
        del columns["nodes_missing_value_tracks_true"]
    return {**columns, "n_targets": len(base), "base_values": base, "aggregate_function": "SUM", "post_transform": "NONE"}


def linear_scores(nodes: Nodes, part: Linear, source: str) -> str:
    """Scores [rows, outputs] of a linear model on the matrix."""
    pieces: list[str] = []
    if part.numbers:
        numbers = nodes.add("Gather", [source, nodes.constant(part.numbers, np.int64)], axis=1)
        numbers = nodes.add("Where", [nodes.add("IsNaN", [numbers]), nodes.constant(part.fill), numbers])
        scaled = nodes.add("Div", [nodes.add("Sub", [numbers, nodes.constant(part.mean)]), nodes.constant(part.scale)])
        pieces.append(nodes.add("Clip", [scaled, nodes.constant(0.0), nodes.constant(1.0)]) if part.bounded else scaled)
    if part.missing:
        numbers = nodes.add("Gather", [source, nodes.constant(part.missing, np.int64)], axis=1)
        pieces.append(nodes.add("Cast", [nodes.add("IsNaN", [numbers])], to=1))
    for column, count in part.categories:
        code = nodes.add("Gather", [source, nodes.constant([column], np.int64)], axis=1)
        same = nodes.add("Equal", [code, nodes.constant([list(range(-1, count - 1))])])
        pieces.append(nodes.add("Cast", [same], to=1))
    joined = pieces[0] if len(pieces) == 1 else nodes.add("Concat", pieces, axis=1)
    return nodes.add("Gemm", [joined, nodes.constant(part.weights), nodes.constant(part.bias)])


def linked(nodes: Nodes, scores: str, classes: int) -> str:
    if classes == 1:
        return scores
    return nodes.add("Sigmoid", [scores]) if classes == 2 else nodes.add("Softmax", [scores], axis=1)


def calibrated(nodes: Nodes, probabilities: str, calibration: Calibration, classes: int) -> str:
    if calibration.changes_nothing:
        return probabilities
    low, high = nodes.constant(SMALLEST), nodes.constant(1 - SMALLEST)
    clipped = nodes.add("Clip", [probabilities, low, high])
    logs = nodes.add("Log", [clipped])
    if classes == 2:
        logs = nodes.add("Sub", [logs, nodes.add("Log", [nodes.add("Sub", [nodes.constant(1.0), clipped])])])
    scores = nodes.add("Mul", [logs, nodes.constant(calibration.slope)])
    if classes == 2:
        scores = nodes.add("Add", [scores, nodes.constant(calibration.shift)])
    return linked(nodes, scores, classes)
