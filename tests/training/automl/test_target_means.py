"""Means of the label for columns of many values: cross-fitted where they are learned from, and the same in the graph."""

import numpy as np
import pytest

from pushline.training.automl.algorithms import ALGORITHMS, REGRESSORS, Candidate
from pushline.training.automl.target_means import MANY, columns_of, with_means
from pushline.training.automl.worker import WHOLE, Job, fitted
from pushline.training.export import predict
from pushline.training.graph import Calibration, matrix_graph

KINDS = ("category", "number", "category")
FEW = {"n_estimators": 20}


def table(classes: int, rows: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """A column of 40 values that decides much, a number that may be missing, a column of three values."""
    random = np.random.default_rng(1)
    shop, number = random.integers(-1, 40, rows), random.normal(size=rows)
    strength = random.normal(size=41)[shop + 1] + number + random.normal(size=rows) / 2
    number[::9] = np.nan
    matrix = np.stack([shop, number, random.integers(0, 3, rows)], axis=1).astype(np.float32)
    return matrix, strength if classes == 1 else np.digitize(strength, np.quantile(strength, np.arange(1, classes) / classes))


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize(("name", "place"), [("LightGBM", 0), ("linear", 0), ("linear", 1)], ids=str)
def test_the_graph_computes_the_means_for_missing_unseen_and_extreme_values(name: str, place: int, classes: int) -> None:
    matrix, labels = table(classes)
    every = REGRESSORS if classes == 1 else ALGORITHMS
    algorithm = every["ElasticNet" if classes == 1 else "LogisticRegression"] if name == "linear" else every[name]
    parameters = {key: FEW.get(key, value) for key, value in algorithm.portfolio[place].items()}
    candidate = Candidate(name=name, algorithm=name, builder=algorithm.builder, parameters=parameters)
    # The first rows are judged against the library; values there that nobody saw make the test.
    matrix[:40, 1] = np.resize(np.float32([1e30, -1e30, 3e8, 0, np.nan]), 40)
    made = fitted(Job(candidate=candidate, fold=WHOLE, seed=1, threads=1), matrix, labels, np.zeros(len(labels)), KINDS, classes)
    assert made.error == ""
    graph = matrix_graph([made.part], [1.0], Calibration(), columns=3, classes=classes, means=made.means).SerializeToString()
    served = predict(graph, matrix)
    near = np.abs(matrix[:, 1]) < 1e6 if (name, place) == ("linear", 0) else np.ones(len(matrix), dtype=bool)
    near |= np.isnan(matrix[:, 1])
    assert np.abs(served - made.probabilities)[near].max() <= 1e-5 * max(1, np.abs(made.probabilities[near]).max())
    assert classes == 1 or (served.argmax(axis=1) == made.probabilities.argmax(axis=1))[near].all()
    unseen = matrix.copy()
    unseen[:, 0] = 500  # a value that the contract lists and training never had
    assert np.isfinite(predict(graph, unseen)).all()


def test_a_row_that_is_learned_from_has_no_part_in_its_own_mean() -> None:
    matrix, _ = table(2)
    noise = np.random.default_rng(2).integers(0, 2, len(matrix))
    matrix[:, 0] = np.arange(len(matrix)) // 3  # three rows a value: a mean of their own would give the label away
    learned, asked, means = with_means(matrix, noise, matrix, (0,), 2, seed=1)
    assert abs(np.corrcoef(learned[:, 3], noise)[0, 1]) < 0.2
    assert np.corrcoef(asked[:, 3], noise)[0, 1] > 0.5
    again, *_ = with_means(matrix, noise, matrix, (0,), 2, seed=1)
    assert np.array_equal(learned, again, equal_nan=True)
    assert means.table.shape == (len(matrix) // 3 + 2, 1)


def test_columns_of_few_values_and_tables_of_many_classes_have_no_means() -> None:
    matrix, _ = table(2)
    assert columns_of(matrix, KINDS, 2) == (0,)
    assert columns_of(matrix[matrix[:, 0] < MANY - 1], KINDS, 2) == ()
    assert columns_of(matrix, KINDS, 26) == ()
