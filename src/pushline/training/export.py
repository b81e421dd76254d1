"""The model folder: what leaves training, complete, in one step.

Its portable graph takes raw columns as named inputs, with string tables inside, around the numeric graph.
"""

import hashlib
import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from pushline.arrays import Matrix
from pushline.data.contract import Contract
from pushline.data.contract.encoding import MISSING_CATEGORY, EncodedColumn, Encoding, encode_rows
from pushline.files import sha256_of, whole_folder, write_atomically, write_json
from pushline.results import Scalar
from pushline.serving.model_folder import (
    CARD,
    CONTRACT,
    EXPLANATION,
    GOLDEN,
    LABEL,
    MATRIX,
    MATRIX_INPUT,
    PORTABLE,
    PREDICTIONS,
    PROBABILITIES,
    QUANTITY,
    SCORING,
    GoldenRow,
    Scoring,
    probability_of,
)
from pushline.training.nodes import Nodes

if TYPE_CHECKING:
    import pandas as pd

ROWS_AT_A_TIME = 50_000
INNER, OUTER = "model/", "table/"  # before the names inside the graph


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from."""

    data_version: str
    git_revision: str
    generated_sample: bool = False


def predictor(matrix_model: bytes, *, threads: int = 1) -> Callable[[Matrix], Matrix]:
    """A function from the matrix to the numeric graph's output: probabilities [rows, classes], or a quantity's value, low and high."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(matrix_model, options, providers=["CPUExecutionProvider"])

    def answer(matrix: Matrix) -> Matrix:
        starts = range(0, max(1, len(matrix)), ROWS_AT_A_TIME)
        return np.concatenate([session.run(None, {MATRIX_INPUT: matrix[start : start + ROWS_AT_A_TIME]})[0] for start in starts])

    return answer


def predict(matrix_model: bytes, matrix: Matrix) -> Matrix:
    """The output of the numeric graph."""
    return predictor(matrix_model)(matrix)


def result_of(probabilities: Matrix, classes: tuple[str, ...], threshold: float | None) -> list[Any]:
    """The answer for each row: the second class from the threshold on, or the most probable class; the value of a quantity."""
    if not classes:
        return [float(value) for value in probabilities[:, 0]]
    if threshold is None:
        return [classes[index] for index in probabilities.argmax(axis=1)]
    return [classes[int(probability >= threshold)] for probability in probabilities[:, 1]]


def golden_rows(matrix_model: bytes, encoding: Encoding, frame: "pd.DataFrame", classes: tuple[str, ...], threshold: float | None) -> Any:
    """Golden rows of generated `frame`, with what the served graph answers to them as a request holds them."""
    rows = [{name: plain(value) for name, value in row.items()} for row in frame[list(encoding.names)].to_dict("records")]
    probabilities = predict(matrix_model, encode_rows(encoding, rows))
    results = result_of(probabilities, classes, threshold)
    return tuple(
        GoldenRow(row=row, probabilities=tuple(map(float, chances)), result=result)
        for row, chances, result in zip(rows, probabilities, results, strict=True)
    )


def plain(value: Any) -> Scalar:
    """A cell as JSON holds it."""
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value != value:
        return None
    return value if isinstance(value, str | int | float | bool) else None


def write_model_folder(
    folder: Path,
    matrix_model: bytes,
    contract: Contract,
    encoding: Encoding,
    *,
    threshold: float | None,
    level: float | None = None,
    algorithm: str,
    golden: "pd.DataFrame",
    origin: Origin,
    card: str,
    explanation: bytes = b"",
) -> Scoring:
    """Write the whole model folder, replacing an older one; a failure leaves what was there.

    `golden` holds generated rows with the raw columns of the encoding.
    """
    import onnx

    classes = contract.classes
    portable = portable_graph(onnx.load_from_string(matrix_model), contract, encoding, classes, threshold)
    with whole_folder(folder) as whole:
        save_mlflow(portable, whole, contract, encoding)
        scoring = Scoring(
            encoding=encoding,
            classes=classes,
            positive=contract.positive,
            threshold=threshold,
            level=level,
            algorithm=algorithm,
            sha256={
                PORTABLE: sha256_of(whole / PORTABLE),
                MATRIX: hashlib.sha256(matrix_model).hexdigest(),
                **({EXPLANATION: hashlib.sha256(explanation).hexdigest()} if explanation else {}),
            },
            data_version=origin.data_version,
            git_revision=origin.git_revision,
            generated_sample=origin.generated_sample,
        )
        write_atomically(whole / MATRIX, matrix_model)
        if explanation:
            write_atomically(whole / EXPLANATION, explanation)
        write_json(whole / CONTRACT, contract)
        write_json(whole / SCORING, scoring)
        write_json(whole / GOLDEN, golden_rows(matrix_model, encoding, golden, classes, threshold))
        write_atomically(whole / CARD, card.encode())
    return scoring


def load_mlflow() -> None:
    """Import what `save_mlflow` needs, and let MLflow list the installed packages: five seconds that other work can use."""
    from pushline.registry.mlflow_store import quietly

    with quietly():
        import mlflow.onnx  # noqa: F401 - to have it loaded
        from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

        warn_dependency_requirement_mismatches(["mlflow"])


def save_mlflow(portable: Any, folder: Path, contract: Contract, encoding: Encoding) -> None:
    """The portable graph as an MLflow model. The requirements are said, not inferred: inferring them loads the model in a new process."""
    from pushline.registry.mlflow_store import quietly

    kinds = ["float"] * len(QUANTITY) if contract.is_regression else ["string", *("float" for _ in contract.classes)]
    packages = ("mlflow", "numpy", "onnx", "onnxruntime", "pandas")
    with quietly():
        import mlflow.onnx
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema

        inputs = Schema([ColSpec(type=column_type(contract, name), name=name) for name in encoding.names])
        names = output_names(encoding, contract.classes)
        outputs = Schema([ColSpec(type=kind, name=name) for kind, name in zip(kinds, names, strict=True)])
        mlflow.onnx.save_model(
            portable,
            str(folder),
            signature=ModelSignature(inputs=inputs, outputs=outputs),
            pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in packages],
            onnx_execution_providers=["CPUExecutionProvider"],
            metadata={"task": f"tabular-{contract.task}", "contract": contract.hash},
        )


def column_type(contract: Contract, name: str) -> str:
    """MLflow's type of a raw column: a number that may be missing has no integer or boolean form."""
    column = contract.by_name[name]
    if column.type == "string":
        return "string"
    if column.type == "number" or column.is_date or column.optional:
        return "double"
    return "long" if column.type == "integer" else "boolean"


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
    return nodes.model(inputs, outputs, "portable")


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
    """The ONNX type of a raw column."""
    return {"string": "STRING", "double": "FLOAT", "long": "INT64", "boolean": "BOOL"}[column_type(contract, name)]
