import numpy as np
import pytest

from pushline.data.contract.encoding import class_codes, encode_frame, encoding_of
from pushline.training.automl.algorithms import ALGORITHMS, Algorithm, Candidate
from pushline.training.automl.libraries import build
from pushline.training.automl.worker import part_of
from pushline.training.export import predict
from pushline.training.graph import Calibration, matrix_graph
from pushline.training.trees import below, round_down, trees_of
from training.conftest import ExampleSplit
from training.tables import odd_contract, odd_table

EVERY = [
    pytest.param(algorithm, parameters, id=f"{algorithm.name}-{number}", marks=[pytest.mark.slow] if number else [])
    for algorithm in ALGORITHMS.values()
    for number, parameters in enumerate((*algorithm.portfolio, *algorithm.deep))
]
EDGES = [  # of what is searched
    pytest.param(
        algorithm,
        {**algorithm.portfolio[0], **{name: getattr(span, edge) for name, span in algorithm.space.items()}},
        id=f"{algorithm.name}-{edge}",
        marks=pytest.mark.slow,
    )
    for algorithm in ALGORITHMS.values()
    for edge in ("low", "high")
]
TOLERANCE = 1e-5
LEARNED = 6000  # rows of the example: deep trees already, in a fraction of the time that all of them take


def candidate_of(algorithm: Algorithm, parameters: dict) -> Candidate:
    return Candidate(name=algorithm.name, algorithm=algorithm.name, builder=algorithm.builder, parameters=parameters)


def difference(estimator, learn, answers, judge, classes):
    """The largest difference of probabilities between library and graph, and how many answers flip."""
    estimator.fit(learn, answers)
    native = estimator.predict_proba(judge)
    graph = matrix_graph([part_of(estimator, classes)], [1.0], Calibration(), columns=judge.shape[1], classes=classes)
    served = predict(graph.SerializeToString(), judge)
    return np.abs(native - served).max(), int(np.sum(native.argmax(axis=1) != served.argmax(axis=1)))


@pytest.mark.parametrize(("algorithm", "parameters"), EVERY + EDGES)
@pytest.mark.parametrize("classes", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_the_graph_answers_as_the_library_with_missing_values_and_unseen_codes(algorithm, parameters, classes):
    contract = odd_contract(classes=classes)
    encoding = encoding_of(contract.features())
    learn, judge = odd_table(900, 1, classes=classes), odd_table(900, 2, classes=classes, missing=0.4)
    learn = learn[learn["label"] != "red"]  # a category that training has not seen, though the contract allows it
    kinds = tuple(column.kind for column in encoding.columns)
    estimator = build(candidate_of(algorithm, parameters), seed=3, threads=1, kinds=kinds)
    labels = class_codes(contract, learn["outcome"])
    largest, flips = difference(estimator, encode_frame(encoding, learn), labels, encode_frame(encoding, judge), classes)
    assert largest <= TOLERANCE
    assert flips == 0


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "parameters"), EVERY)
def test_the_graph_answers_as_the_library_on_the_whole_hold_out(algorithm, parameters, example_split: ExampleSplit):
    estimator = build(candidate_of(algorithm, parameters), seed=3, threads=1, kinds=example_split.kinds)
    learn, answers = example_split.matrix[:LEARNED], example_split.labels[:LEARNED]
    largest, flips = difference(estimator, learn, answers, example_split.held_matrix, len(example_split.contract.classes))
    assert largest <= TOLERANCE
    assert flips == 0


@pytest.mark.slow
def test_a_vote_of_every_algorithm_answers_as_the_libraries_on_the_whole_hold_out(example_split: ExampleSplit):
    natives, parts, classes = [], [], len(example_split.contract.classes)
    for algorithm in ALGORITHMS.values():
        estimator = build(candidate_of(algorithm, algorithm.portfolio[0]), seed=3, threads=1, kinds=example_split.kinds)
        estimator.fit(example_split.matrix[:LEARNED], example_split.labels[:LEARNED])
        natives.append(estimator.predict_proba(example_split.held_matrix))
        parts.append(part_of(estimator, classes))
    weights = np.arange(1, len(parts) + 1) / sum(range(1, len(parts) + 1))
    native = sum(weight * one for weight, one in zip(weights, natives, strict=True))
    graph = matrix_graph(parts, weights.tolist(), Calibration(), columns=example_split.matrix.shape[1], classes=classes)
    served = predict(graph.SerializeToString(), example_split.held_matrix)
    assert np.abs(native - served).max() <= TOLERANCE
    for threshold in (0.1, 0.2, 0.3, 0.5):
        assert np.array_equal(native[:, 1] >= threshold, served[:, 1] >= threshold)


def test_thresholds_become_float32_without_moving_a_row():
    exact = np.array([0.1, 1 / 3, -0.7, 1e300, -1e300, 16777217.0])
    rounded = round_down(exact)
    assert rounded.dtype == np.float32
    assert (rounded[:3].astype(np.float64) <= exact[:3]).all()
    for threshold, limit in zip(exact, rounded, strict=True):
        near = np.nextafter(np.float32(np.clip(threshold, -3e38, 3e38)), np.float32([-np.inf, np.inf]))
        for value in near[np.isfinite(near)]:
            assert (float(value) <= threshold) == (value <= limit)


def test_less_than_becomes_at_most_the_number_below():
    for threshold in np.float32([0.0, 1.5, -2.25, 1e-30]):
        for value in (threshold, np.nextafter(threshold, np.float32(-np.inf)), np.nextafter(threshold, np.float32(np.inf))):
            assert (value < threshold) == (value <= below(threshold))


def test_a_model_that_is_no_tree_is_refused():
    with pytest.raises(TypeError, match="dict is not a tree model"):
        trees_of({}, 2)
