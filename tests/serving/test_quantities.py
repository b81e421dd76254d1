"""A model of a quantity, served: value, low and high from one call, for one row as for many."""

import msgspec
import numpy as np
import pytest

from pushline.data.contract.encoding import encode_frame
from pushline.release.smoke import compare
from pushline.serving.model_folder import read_golden
from pushline.serving.scorer import Scorer
from training.quantities import quantity_model, quantity_table

LEVEL = 0.9
ROW = {"size": 0.5, "count": 12, "shape": "round", "new": True}


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return Scorer(quantity_model(tmp_path_factory.mktemp("quantity") / "model", quantity_table(900, 1)), max_rows=100)


def test_an_answer_holds_value_low_and_high_of_each_row(scorer: Scorer) -> None:
    answer = scorer.fields(scorer.score(msgspec.json.encode({"data": [ROW, {**ROW, "count": 29, "size": None}]})))
    assert list(answer) == ["result", "low", "high"]
    assert all(0 <= low < value < high for value, low, high in zip(*answer.values(), strict=True))
    assert scorer.constants == {"level": LEVEL}


def test_a_row_alone_is_answered_as_among_others(scorer: Scorer) -> None:
    alone = scorer.score(msgspec.json.encode({"data": [ROW]}))
    among = scorer.score(msgspec.json.encode({"data": [ROW, {**ROW, "shape": None}]}))
    assert list(alone[0]) == pytest.approx(among[0])


def test_the_portable_model_answers_as_the_served_one(scorer: Scorer) -> None:
    import onnxruntime

    rows = quantity_table(50, 3, missing=0)
    session = onnxruntime.InferenceSession(str(scorer.folder / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["result", "low", "high"]
    kinds = {"size": np.float32, "count": np.int64, "shape": object, "new": bool}
    raw = session.run(None, {name: rows[name].to_numpy(dtype=kind) for name, kind in kinds.items()})
    assert np.column_stack(raw) == pytest.approx(scorer.run(encode_frame(scorer.scoring.encoding, rows)), rel=1e-5)


def test_the_api_document_is_valid_and_says_what_is_answered(scorer: Scorer) -> None:
    from pushline.release.openapi_faults import fault_of_value, openapi_faults, scoring
    from pushline.serving.openapi import document_of
    from pushline.settings import Serving

    document = msgspec.json.decode(document_of(scorer, "1", Serving()))
    assert openapi_faults(document) == []
    _, shape = scoring(document)
    answer = {**scorer.fields(scorer.score(msgspec.json.encode({"data": [ROW]}))), **scorer.constants, "model_version": "1"}
    assert fault_of_value(document, shape, answer) == ""
    assert fault_of_value(document, shape, {**answer, "result": ["12"]}) != ""


def test_a_golden_row_that_is_answered_otherwise_is_found(scorer: Scorer) -> None:
    golden, model = read_golden(scorer.folder), scorer.scoring
    answer = dict(zip(("result", "low", "high"), map(list, zip(*(row.probabilities for row in golden), strict=True)), strict=True))
    assert compare(golden, answer, model) == (0.0, 0)
    off = compare(golden, {**answer, "high": [value * 1.01 for value in answer["high"]]}, model)
    assert off is not None
    assert off[0] > 1e-3
    assert compare(golden, {"result": answer["result"]}, model) is None
