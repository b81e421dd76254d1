"""A model that another AutoML made, known by its ONNX file alone, turned into what our automl step leaves.

Its graph takes raw columns, one input each. Before it goes a table from our matrix back to those columns, so that the same
service serves it. Nothing of its training is needed, and no pickle is opened.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pushline.data.contract import Contract
from pushline.data.contract.encoding import EncodedColumn, Encoding, encode_frame, encoding_of, targets_of
from pushline.errors import ModelUnreadable
from pushline.serving.model_folder import MATRIX_INPUT, PORTABLE, PROBABILITIES
from pushline.training.best_model import AUTOML, BestModel, write_best_model
from pushline.training.prepare import HELD_BACK, TRAIN

if TYPE_CHECKING:
    import pandas as pd

ALGORITHM = "Azure AutoML"
PREFIX = "adopted_"
INSTEAD = 'Keep enable_onnx_compatible_models on in pipelines/train.yml, or set engine = "pushline" in [tool.pushline.azure].'


def is_foreign(folder: Path) -> bool:
    """Whether a folder was left by an AutoML that is not ours."""
    return not (folder / AUTOML).is_file()


def rows_held_back(prepared: Path) -> tuple["pd.DataFrame", int]:
    """Rows that the search never saw and the figures are not of, and how many it learned from.

    On them the threshold of an adopted model is chosen: it brings no predictions out of fold. Raises ModelUnreadable where
    none was held back.
    """
    import pandas as pd
    import pyarrow.parquet as pq

    file = prepared / HELD_BACK
    if not file.is_file():
        raise ModelUnreadable(
            "The model of Azure's AutoML can't be given a threshold.",
            why="No training rows were held back from its search.",
            do="Give the pipeline's input held_back a share above 0, such as 0.1.",
        )
    return pd.read_parquet(file), int(pq.read_metadata(prepared / TRAIN).num_rows)


def import_model(
    folder: Path, rows: "pd.DataFrame", contract: Contract, to: Path, *, metric: str, use_known_after: bool, seed: int, learned: int = 0
) -> Path:
    """Write to `to` what our automl step would have left, and return it.

    `rows` are of no search and no figure, `learned` is how many the search had.

    Raises ModelUnreadable, naming the settings, where there is no ONNX model or its inputs or outputs are not understood.
    """
    import onnx

    from pushline.training.export import predict
    from pushline.training.metrics import score

    found = sorted(folder.rglob(PORTABLE)) if folder.is_dir() else []
    if not found:
        raise not_understood(f"There is no {PORTABLE} in the output best_model")
    encoding = encoding_of(contract.features(use_known_after=use_known_after))
    graph = wrapped(onnx.load(str(found[0])), contract, encoding).SerializeToString()
    labels = targets_of(contract, rows[contract.label.name])
    try:
        probabilities = predict(graph, encode_frame(encoding, rows))
    except Exception as error:  # onnxruntime raises kinds of its own, which it does not export
        raise not_understood(f"{found[0].name} does not run on rows that were held back: {str(error).splitlines()[0]}") from error
    best = BestModel(
        encoding=encoding,
        classes=contract.classes,
        metric=metric,
        algorithm=ALGORITHM,
        members=(("best", ALGORITHM, 1.0),),
        score=score(metric, labels, probabilities.astype(np.float64)),
        leaderboard=(),
        curve=(),
        seconds=0.0,
        stopped="",
        rows=learned,
        seed=seed,
    )
    write_best_model(to, best, graph, labels, probabilities)
    return to


def wrapped(model: Any, contract: Contract, encoding: Encoding) -> Any:
    """The graph from our matrix to the contract's classes in their order, or to a quantity, around a graph of raw columns."""
    from onnx import TensorProto, compose, helper

    from pushline.training.graph import VALUE
    from pushline.training.nodes import Nodes

    inner = compose.add_prefix(model, PREFIX)
    order = positions(encoding)
    initial = {constant.name for constant in inner.graph.initializer}
    nodes = Nodes()
    for value in inner.graph.input:
        name = value.name.removeprefix(PREFIX)
        if value.name in initial:
            continue
        if name not in order:
            raise not_understood(f"its input {name!r} is no feature of the contract ({', '.join(encoding.names)})")
        raw_column(nodes, value, encoding.columns[order[name]], order[name])
    raw, classes = (value_of(inner), []) if contract.is_regression else probabilities_of(inner, contract)
    nodes.nodes += inner.graph.node
    nodes.constants += inner.graph.initializer
    kind, output = nodes.add("Cast", [raw], to=TensorProto.FLOAT), VALUE if contract.is_regression else PROBABILITIES
    if contract.is_regression:
        nodes.add("Reshape", [kind, nodes.constant([-1, 1], np.int64)], output=output)
    else:
        nodes.add("Gather", [kind, nodes.constant([classes.index(name) for name in contract.classes], np.int64)], output=output, axis=1)
    graph = helper.make_graph(
        nodes.nodes,
        "adopted",
        [helper.make_tensor_value_info(MATRIX_INPUT, TensorProto.FLOAT, [None, len(encoding.columns)])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, len(contract.classes) or 1])],
        nodes.constants,
    )
    sets = {each.domain: each.version for each in inner.opset_import}
    sets["ai.onnx.ml"] = max(sets.get("ai.onnx.ml", 0), 2)  # the tables of strings
    return helper.make_model(graph, opset_imports=[helper.make_opsetid(*each) for each in sets.items()], ir_version=inner.ir_version)


def positions(encoding: Encoding) -> dict[str, int]:
    """The matrix column of each raw column, by its name and by the name that converters make of it (`a.b` becomes `a_b`)."""
    names = list(encoding.names)
    tame = [re.sub(r"\W", "_", name) for name in names]
    unique = {name: position for position, name in enumerate(tame) if tame.count(name) == 1}
    return unique | {name: position for position, name in enumerate(names)}


def raw_column(nodes: Any, value: Any, column: EncodedColumn, position: int) -> None:
    """One column of the matrix as the inner graph takes it: text, a number or a truth, as [rows, 1] or [rows]."""
    from onnx import TensorProto

    kind, rank = value.type.tensor_type.elem_type, len(value.type.tensor_type.shape.dim)
    if rank not in (1, 2):
        raise not_understood(f"its input {column.name!r} has {rank} dimensions")
    shape = [-1, 1] if rank == 2 else [-1]
    text = kind == TensorProto.STRING
    numbers = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL)
    if text != (column.kind == "category") or not (text or kind in numbers):
        raise not_understood(f"its input {column.name!r} is of a type that the contract's {column.kind} does not become")
    cell = nodes.add("Gather", [MATRIX_INPUT, nodes.constant([position], np.int64)], axis=1)
    cell = nodes.add("Reshape", [cell, nodes.constant(shape, np.int64)])
    if not text:
        nodes.add("Cast", [cell], output=value.name, to=kind)
        return
    code = nodes.add("Cast", [cell], to=TensorProto.INT64)
    names = list(column.categories)
    nodes.add(
        "LabelEncoder",
        [code],
        output=value.name,
        domain="ai.onnx.ml",
        keys_int64s=list(range(len(names))),
        values_strings=names,
        default_string="",
    )


def value_of(model: Any) -> str:
    """The tensor of a quantity's value: the only output of a regression."""
    outputs = list(model.graph.output)
    if len(outputs) != 1 or len(outputs[0].type.tensor_type.shape.dim) not in (1, 2):
        raise not_understood("it has no output, or more than one, that can be a quantity")
    return str(outputs[0].name)


def probabilities_of(model: Any, contract: Contract) -> tuple[str, list[str]]:
    """The tensor of probabilities [rows, classes] and the classes in its order. A map of each row at the end is left out."""
    from onnx import helper

    maps = [node for node in model.graph.node if node.op_type == "ZipMap"]
    for node in maps:
        model.graph.node.remove(node)
    tensors = [value.name for value in model.graph.output if len(value.type.tensor_type.shape.dim) == 2]
    raw = maps[0].input[0] if maps else tensors[0] if len(tensors) == 1 else ""
    if not raw:
        raise not_understood("it has no output, or more than one, that can be probabilities")
    for node in [*maps, *reversed(model.graph.node)]:
        for attribute in node.attribute:
            if attribute.name in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
                said = [each.decode() if isinstance(each, bytes) else each for each in helper.get_attribute_value(attribute)]
                return raw, names_of(said, contract)
    raise not_understood("it does not say in which order its classes are")


def names_of(said: list[Any], contract: Contract) -> list[str]:
    """The contract's classes in the order that the graph says: by name, or numbered in the order of their names."""
    if sorted(map(str, said)) == sorted(contract.classes):
        return [str(each) for each in said]
    if said == list(range(len(contract.classes))):
        return sorted(contract.classes)
    raise not_understood(f"its classes are {said}, the contract's are {', '.join(contract.classes)}")


def not_understood(why: str) -> ModelUnreadable:
    return ModelUnreadable("The model of Azure's AutoML can't be used.", why=f"{why}.", do=INSTEAD)
