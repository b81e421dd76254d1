"""What a model folder needs to explain its answers: `explanation.npz`, which serving/explanation.py reads."""

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from pushline.arrays import Matrix
from pushline.data.contract.dates import PARTS
from pushline.data.contract.encoding import Encoding
from pushline.serving.explanation import PATHS, About, Scale
from pushline.serving.model_folder import MATRIX_INPUT
from pushline.training.features import Feature, with_features
from pushline.training.graph import Calibration, GraphPart, TargetMeans, with_means
from pushline.training.nodes import Nodes, floats
from pushline.training.trees import LEAF, Tree, TreeModel

MOST = 400_000  # features on the paths of all leaves: beyond, a row would take longer than its sampled values, and the file megabytes
SMALLEST = 1e-6  # of a share: an empty branch has none
SCALES: dict[str, Scale] = {"sigmoid": "log-odds", "softmax": "raw score", "identity": "probability", "value": "value"}
Path = dict[int, tuple[float, float, bool, float]]  # by column: above, up to, whether a missing value goes there too, share of the rows


def of_trees(
    parts: Sequence[GraphPart],
    weights: Sequence[float],
    calibration: Calibration,
    encoding: Encoding,
    features: Sequence[Feature] = (),
    means: TargetMeans | None = None,
) -> bytes:
    """The explanation of a model whose score is a sum of trees; empty where it is none.

    A vote of probabilities of logarithms is none, unless it has one member; nor is one with a member that is linear.
    """
    members = [part for part in parts if isinstance(part, TreeModel)]
    links = {member.link for member in members}
    straight = links <= {"identity", "value"}  # the answer itself is the sum
    if len(members) < len(parts) or len(links) > 1 or not links <= SCALES.keys():
        return b""
    if not calibration.changes_nothing if straight else len(members) > 1:
        return b""
    [link] = links
    outputs = [1] if link == "identity" and len(members[0].base) == 2 else list(range(len(members[0].base)))
    base, leaves, slots = np.zeros(len(outputs)), defaultdict[int, list[Any]](list), 0
    for member, weight in zip(members, weights, strict=True):
        base += (np.asarray(member.base)[outputs] * weight + member.shift * weight) * calibration.slope
        for tree in member.trees:
            for path, told in leaves_of(tree, len(member.base)):
                value = told[outputs] * weight * calibration.slope
                base += value if not path else value * np.prod([share for *_, share in path.values()])
                if path and value.any():
                    leaves[len(path)].append((path, value))
                    slots += len(path)
        if slots > MOST:
            return b""
    base += calibration.shift if link == "sigmoid" else 0.0
    names, places = features_read(encoding, features, means)
    about = About(method="TreeSHAP", scale=SCALES[link], features=names, places=places, base=tuple(map(float, base)))
    arrays = {f"{name}{length}": array for length, group in leaves.items() for name, array in arrays_of(group).items()}
    if features or means:
        arrays["graph"] = np.frombuffer(graph_of(features, encoding, means), dtype=np.uint8)
    return packed(about, arrays)


def by_sample(encoding: Encoding, rows: Matrix, scale: Scale) -> bytes:
    """The explanation of any other model: generated rows to compare with."""
    return packed(About(method="sampled Shapley", scale=scale, features=encoding.names), {"rows": rows.astype(np.float32)})


def packed(about: About, arrays: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, about=np.frombuffer(msgspec.json.encode(about), dtype=np.uint8), **arrays)
    return out.getvalue()


def leaves_of(tree: Tree, outputs: int) -> list[tuple[Path, Any]]:
    """Each leaf with what its path asks of each column, and its value by output."""
    found: list[tuple[Path, Any]] = []
    waiting: list[tuple[int, Path]] = [(0, {})]
    feature, threshold, cover = tree.feature.tolist(), tree.threshold.tolist(), tree.cover.tolist()
    left, right, missing_left = tree.left.tolist(), tree.right.tolist(), tree.missing_left.tolist()
    while waiting:
        node, path = waiting.pop()
        column = feature[node]
        if column == LEAF:
            value = np.zeros(outputs)
            value[list(tree.outputs)] = tree.value[node]
            found.append((path, value))
            continue
        low, high, missing, share = path.get(column, (-np.inf, np.inf, True, 1.0))
        for child, above, up_to, stays in (
            (left[node], low, min(high, threshold[node]), missing_left[node]),
            (right[node], max(low, threshold[node]), high, not missing_left[node]),
        ):
            part = cover[child] / cover[node] if cover[node] else 0.5
            waiting.append((child, {**path, column: (above, up_to, missing and stays, share * max(part, SMALLEST))}))
    return found


def arrays_of(leaves: Sequence[tuple[Path, Any]]) -> dict[str, Any]:
    """The arrays of leaves whose paths are equally long."""
    asked = np.array([list(path.values()) for path, _ in leaves]).transpose(2, 0, 1)
    low, high, missing, share = asked.astype(np.float32)
    column = np.array([list(path) for path, _ in leaves], dtype=np.int32)
    value = np.array([value for _, value in leaves], dtype=np.float32)
    return dict(zip(PATHS, (low, high, missing > 0, share, column, value), strict=True))


def features_read(encoding: Encoding, features: Sequence[Feature], means: TargetMeans | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """What contributions are of, and for each column that the trees read its place among them.

    A part of a date, and the mean of the label for a value, say nothing but what their column says, and count as it.
    """
    names, places = list(encoding.names), list(range(len(encoding.names)))
    for feature in features:
        if feature.term.operator in PARTS:
            places.append(encoding.names.index(feature.term.arguments[0].text))
        else:
            names.append(feature.name)
            places.append(len(names) - 1)
    if means is not None:
        places += np.repeat(means.columns, means.table.shape[1]).tolist()
    return tuple(names), tuple(places)


def graph_of(features: Sequence[Feature], encoding: Encoding, means: TargetMeans | None) -> bytes:
    """The graph from the matrix to the columns that the trees read."""
    nodes = Nodes()
    source = with_features(nodes, features, encoding)
    read = nodes.add("Identity", [with_means(nodes, source, means) if means is not None else source])
    return bytes(nodes.model([floats(MATRIX_INPUT, len(encoding.names))], [floats(read, None)]).SerializeToString())
