"""The scorer answers as the model of the folder, for two classes and for more, and refuses a folder that is not whole."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pushline.data.contract import Column, Contract
from pushline.data.contract.encoding import encoding_of
from pushline.errors import ModelUnreadable
from pushline.files import write_json
from pushline.serving.model_folder import GoldenRow, Scoring
from pushline.serving.openapi import document_of
from pushline.serving.scorer import Scorer
from pushline.settings import Serving

COLUMNS = (
    Column(name="colour", type="string", allowed=("red", "green", "blue")),
    Column(name="size", type="number", minimum=0, maximum=10),
)


def linear(classes: int) -> bytes:
    """A graph whose classes' probabilities are a softmax of fixed weights."""
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(2 * classes, dtype=np.float32).reshape(2, classes) / 10, "weights")
    nodes = [helper.make_node("MatMul", ["matrix", "weights"], ["raw"]), helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1)]
    given = helper.make_tensor_value_info("matrix", TensorProto.FLOAT, [None, 2])
    got = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, classes])
    graph = helper.make_graph(nodes, "linear", [given], [got], [weights])
    made: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    return made


def folder_of(place: Path, classes: tuple[str, ...], *, golden: tuple[GoldenRow, ...] = ()) -> Path:
    binary = len(classes) == 2
    label = Column(name="kind", type="string", role="label", allowed=classes)
    contract = Contract(name="shapes", positive=classes[-1] if binary else None, columns=(*COLUMNS, label))
    graph = linear(len(classes))
    (place / "matrix.onnx").write_bytes(graph)
    write_json(place / "contract.json", contract)
    write_json(place / "golden.json", golden)
    scoring = Scoring(
        encoding=encoding_of(contract.features()),
        classes=classes,
        positive=contract.positive,
        threshold=0.6 if binary else None,
        algorithm="linear",
        sha256={"matrix.onnx": hashlib.sha256(graph).hexdigest()},
        data_version="0" * 16,
        git_revision="test",
        generated_sample=True,
    )
    write_json(place / "scoring.json", scoring)
    return place


def softmax(code: int, size: float, classes: int) -> np.ndarray[Any, Any]:
    raw = np.array([code, size]) @ (np.arange(2 * classes).reshape(2, classes) / 10)
    powers = np.exp(raw - raw.max())
    return powers / powers.sum()


def test_two_classes_are_answered_by_the_threshold(tmp_path: Path) -> None:
    scorer = Scorer(folder_of(tmp_path, ("no", "yes")), max_rows=10)
    one = scorer.score(b'{"data":[{"colour":"blue","size":3.5}]}')
    assert one == pytest.approx([softmax(2, 3.5, 2)[1]], abs=1e-6)
    many = scorer.score(b'{"data":[{"colour":"blue","size":3.5},{"colour":"red","size":9}]}')
    assert many == pytest.approx([softmax(2, 3.5, 2)[1], softmax(0, 9, 2)[1]], abs=1e-6)
    assert scorer.results([0.59, 0.6]) == ["no", "yes"]


def test_more_classes_are_answered_by_the_most_probable(tmp_path: Path) -> None:
    classes = ("circle", "square", "star")
    scorer = Scorer(folder_of(tmp_path, classes), max_rows=10)
    for body in (b'{"data":[{"colour":"green","size":1}]}', b'{"data":[{"colour":"green","size":1},{"colour":"red","size":0}]}'):
        shown = scorer.score(body)
        assert shown[0] == pytest.approx(softmax(1, 1, 3), abs=1e-6)
        assert scorer.results(shown)[0] == "star"
    document = json.loads(document_of(scorer, "1", Serving()))
    assert document["components"]["schemas"]["Answer"]["properties"]["probability"]["items"]["type"] == "array"


@pytest.mark.parametrize("file", ["matrix.onnx", "contract.json", "scoring.json", "golden.json"])
@pytest.mark.parametrize("how", ["removed", "emptied", "cut"])
def test_a_folder_that_is_not_whole_is_refused(tmp_path: Path, file: str, how: str) -> None:
    folder = folder_of(tmp_path, ("no", "yes"))
    content = (folder / file).read_bytes()
    (folder / file).unlink()
    if how != "removed":
        (folder / file).write_bytes(b"" if how == "emptied" else content[: len(content) // 2])
    with pytest.raises(ModelUnreadable):
        Scorer(folder, max_rows=10)


def test_a_model_that_answers_its_golden_rows_otherwise_is_refused(tmp_path: Path) -> None:
    right = softmax(1, 2, 2).tolist()
    row = {"colour": "green", "size": 2.0}
    Scorer(folder_of(tmp_path, ("no", "yes"), golden=(GoldenRow(row=row, probabilities=tuple(right), result="no"),)), max_rows=10)
    wrong = GoldenRow(row=row, probabilities=(right[1], right[0]), result="yes")
    with pytest.raises(ModelUnreadable, match="golden row"):
        Scorer(folder_of(tmp_path, ("no", "yes"), golden=(wrong,)), max_rows=10)
