"""The portable ONNX graph: raw columns as named inputs, string tables inside, around the numeric graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pushline.data.contract import Contract
from pushline.data.contract.encoding import MISSING_CATEGORY, EncodedColumn, Encoding
from pushline.serving.model_folder import LABEL, MATRIX_INPUT, PREDICTIONS, PROBABILITIES, QUANTITY, probability_of
from pushline.training.nodes import Nodes, model_of

INNER, OUTER = "model/", "table/"  # before the names inside the graph


def portable_graph(matrix: Any, contract: Contract, encoding: Encoding, classes: Sequence[str], threshold: float | None) -> Any:
    """The graph that takes raw columns: the tables of `encoding` before the graph of `matrix`, the label behind it.

    Inputs are named exactly as the columns. Outputs: `label`, and the probability of each class under its own name, with
    underscores behind it where a column has that name; of a quantity `result`, `low` and `high`. All are of shape [rows],
    which is what MLflow feeds and can put into a table. A date comes as its hours since 1970.
    """
    from onnx import TensorProto, helper
    from onnx.compose import add_prefix

    inner = add_prefix(matrix, INNER).graph  # apart from the names of columns
    nodes = Nodes(prefix=OUTER)
    inputs = [helper.make_tensor_value_info(name, getattr(TensorProto, input_type(contract, name)), [None]) for name in encoding.names]
    axis = nodes.constant([1], np.int64)
    encoded = [nodes.add("Unsqueeze", [encoded_column(nodes, contract, column), axis]) for column in encoding.columns]
    nodes.add("Concat", encoded, output=INNER + MATRIX_INPUT, axis=1)
    nodes.nodes += inner.node
    nodes.constants += inner.initializer
    columns = INNER + (PROBABILITIES if classes else PREDICTIONS)
    names, outputs = list(output_names(encoding, classes)), []
    if classes:
        label = names.pop(0)
        nodes.add("Gather", [nodes.strings(classes), chosen_class(nodes, columns, threshold)], output=label, axis=0)
        outputs.append(helper.make_tensor_value_info(label, TensorProto.STRING, [None]))
    for position, name in enumerate(names):
        nodes.add("Gather", [columns, nodes.constant(position, np.int64)], output=name, axis=1)
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]))
    return model_of(helper.make_graph(nodes.nodes, "portable", inputs, outputs, nodes.constants))


def chosen_class(nodes: Nodes, probabilities: str, threshold: float | None) -> str:
    """The position of the class that is answered."""
    from onnx import TensorProto

    if threshold is None:
        return nodes.add("ArgMax", [probabilities], axis=1, keepdims=0)
    positive = nodes.add("Gather", [probabilities, nodes.constant(1, np.int64)], axis=1)
    return nodes.add("Cast", [nodes.add("GreaterOrEqual", [positive, nodes.constant(threshold)])], to=TensorProto.INT64)


def encoded_column(nodes: Nodes, contract: Contract, column: EncodedColumn) -> str:
    """The numbers of one raw column, as data/encoding.py makes them."""
    from onnx import TensorProto

    kind = input_type(contract, column.name)
    if column.kind == "category":
        codes = [float(code) for code in range(len(column.categories))]
        keys = list(column.categories)
        return nodes.add(
            "LabelEncoder", [column.name], domain="ai.onnx.ml", keys_strings=keys, values_floats=codes, default_float=MISSING_CATEGORY
        )
    if kind != "FLOAT":
        return nodes.add("Cast", [column.name], to=TensorProto.FLOAT)
    if column.kind == "boolean":
        return nodes.add("Where", [nodes.add("IsNaN", [column.name]), nodes.constant([MISSING_CATEGORY]), column.name])
    return column.name


def output_names(encoding: Encoding, classes: Sequence[str]) -> tuple[str, ...]:
    """The outputs of the portable graph: the label's, then each class's; of a quantity value, low and high."""
    taken = set(encoding.names)
    names = []
    for wanted in (LABEL, *(probability_of(name) for name in classes)) if classes else QUANTITY:
        name = wanted
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return tuple(names)


def input_type(contract: Contract, name: str) -> str:
    """The ONNX type of a raw column: a number that may be missing has no integer or boolean form."""
    column = contract.by_name[name]
    if column.type == "string":
        return "STRING"
    if column.type == "number" or column.is_date or column.optional:
        return "FLOAT"
    return "INT64" if column.type == "integer" else "BOOL"
