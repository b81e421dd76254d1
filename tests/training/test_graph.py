import numpy as np
import onnxruntime
import pytest

from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of
from pushline.training.automl.algorithms import ALGORITHMS, Candidate
from pushline.training.automl.calibrate import calibrated
from pushline.training.automl.libraries import build
from pushline.training.automl.worker import part_of
from pushline.training.export import portable_graph, predict, result_of
from pushline.training.graph import Calibration, matrix_graph
from training.tables import odd_contract, odd_table

MEMBERS = ("LightGBM", "XGBoostClassifier", "GradientBoosting", "LogisticRegression", "ExtremeRandomTrees")
WEIGHTS = (0.3, 0.25, 0.2, 0.15, 0.1)


def small(name: str) -> dict:
    smaller = {"n_estimators": 12, "max_iter": 12, "num_leaves": 7, "max_leaves": 7, "max_leaf_nodes": 7}
    first = ALGORITHMS[name].portfolio[0]
    return {key: smaller.get(key, value) for key, value in first.items()}


@pytest.fixture(params=[2, 3], ids=["two classes", "three classes"])
def vote(request):
    """A vote of unlike members on an odd table: parts, the raw rows to judge, and the native probabilities."""
    contract = odd_contract(classes=request.param)
    encoding = encoding_of(contract.features())
    kinds = tuple(column.kind for column in encoding.columns)
    learn, judge = odd_table(700, 1, classes=request.param), odd_table(500, 2, classes=request.param)
    labels = class_codes(contract, learn["outcome"])
    parts, native = [], 0
    for name, weight in zip(MEMBERS, WEIGHTS, strict=True):
        candidate = Candidate(name=name, algorithm=name, builder=ALGORITHMS[name].builder, parameters=small(name))
        estimator = build(candidate, seed=1, threads=1, kinds=kinds).fit(encode_frame(encoding, learn), labels)
        parts.append(part_of(estimator, request.param))
        native = native + weight * estimator.predict_proba(encode_frame(encoding, judge))
    return contract, encoding, parts, judge, native


@pytest.mark.parametrize("calibration", [Calibration(), Calibration(slope=1.4, shift=-0.6)], ids=["as it is", "calibrated"])
def test_the_graph_of_a_vote_is_the_weighted_mean_of_the_members(vote, calibration):
    contract, encoding, parts, judge, native = vote
    classes = len(contract.classes)
    graph = matrix_graph(parts, WEIGHTS, calibration, columns=len(encoding.columns), classes=classes)
    served = predict(graph.SerializeToString(), encode_frame(encoding, judge))
    expected = calibrated(native, calibration)
    assert np.abs(served - expected).max() <= 1e-5
    assert np.abs(served.sum(axis=1) - 1).max() <= 1e-5
    assert (served.argmax(axis=1) == expected.argmax(axis=1)).all()


def test_the_portable_graph_takes_raw_columns_and_answers_alike(vote):
    contract, encoding, parts, judge, _ = vote
    classes = contract.classes
    threshold = 0.3125 if len(classes) == 2 else None
    matrix = matrix_graph(parts, WEIGHTS, Calibration(), columns=len(encoding.columns), classes=len(classes))
    portable = portable_graph(matrix, contract, encoding, classes, threshold)
    session = onnxruntime.InferenceSession(portable.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(encoding.names)
    raw = {
        "matrix": judge["matrix"].to_numpy(np.float32),
        "size in cm": judge["size in cm"].to_numpy(np.float32),
        "count": judge["count"].to_numpy(np.int64),
        "label": judge["label"].fillna("").to_numpy(object),
        "is.new": judge["is.new"].to_numpy(bool),
        "seen": judge["seen"].to_numpy(np.float32, na_value=np.nan),
    }
    answers = dict(zip((one.name for one in session.get_outputs()), session.run(None, raw), strict=True))
    served = predict(matrix.SerializeToString(), encode_frame(encoding, judge))
    for position, name in enumerate(classes):
        assert np.abs(answers[f"probability_{name}"] - served[:, position]).max() <= 1e-6
    assert answers["label_"].tolist() == result_of(served, classes, threshold)


def test_a_category_that_is_not_in_the_contract_counts_as_missing(vote):
    _, encoding, *_ = vote
    rows = odd_table(3, 5).assign(label=[None, "violet", "red"])
    codes = encode_frame(encoding, rows)[:, encoding.names.index("label")]
    assert codes.tolist() == [-1.0, -1.0, 2.0]
