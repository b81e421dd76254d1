"""Intervals that follow the features."""

import numpy as np
import onnx
import pytest

from pushline.data.contract import Column
from pushline.training.automl.trials import Folds
from pushline.training.export import predict
from pushline.training.graph import QUANTILES, Calibration, Linear, matrix_graph
from pushline.training.interval import FEWEST, fit_interval, fitted, with_interval, with_quantiles

LABEL = Column(name="price", type="number", role="label")
LEVEL = 0.9


def world(rows: int, seed: int, *, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """A value of the first column, whose errors the second makes larger."""
    random = np.random.default_rng(seed)
    matrix = random.random((rows, 3)).astype(np.float32)
    matrix[random.random(rows) < 0.1, 2] = np.nan
    return matrix, 5 * matrix[:, 0] + random.normal(size=rows) * (0.2 + spread * (matrix[:, 1] > 0.7))


def of_world(spread: float, rows: int = 2000) -> tuple[bytes, np.ndarray, np.ndarray]:
    """The graph with its quantiles, labels, and predictions out of fold with them."""
    matrix, labels = world(rows, 1, spread=spread)
    part = Linear(
        fill=np.zeros(1), numbers=(0,), mean=np.zeros(1), scale=np.ones(1), categories=(), weights=np.full((1, 1), 5.0), bias=np.zeros(1)
    )
    graph = matrix_graph([part], [1.0], Calibration(), columns=3, classes=1).SerializeToString()
    folds, every = Folds(of=np.arange(rows) % 4), np.ones(rows, dtype=bool)
    made = with_quantiles(graph, matrix, labels, folds, every, seed=1, threads=1)
    assert made is not None
    return made[0], labels, np.column_stack([5 * matrix[:, 0], made[1]])


@pytest.mark.slow
def test_where_the_features_say_how_large_errors_are_the_interval_follows_them() -> None:
    graph, labels, predictions = of_world(spread=2.0)
    interval = fit_interval(labels, predictions, LEVEL, LABEL)
    assert interval.beyond is not None
    new, truth = world(4000, 2, spread=2.0)
    value, low, high = predict(with_interval(graph, interval), new).T
    plain = predict(with_interval(graph, fit_interval(labels, predictions[:, :1], LEVEL, LABEL)), new)
    assert ((low <= value) & (value <= high)).all()
    assert 0.88 <= np.mean((truth >= low) & (truth <= high)) <= 0.92
    assert np.mean(high - low) < 0.8 * np.mean(plain[:, 2] - plain[:, 1])
    calm = new[:, 1] <= 0.7
    assert np.mean((high - low)[calm]) < 0.4 * np.mean((high - low)[~calm])


@pytest.mark.slow
def test_the_graph_answers_what_the_quantile_models_do() -> None:
    graph, labels, _ = of_world(spread=2.0)
    matrix, _ = world(2000, 1, spread=2.0)
    known = np.column_stack([each.predict(matrix) for each in fitted(matrix, labels, 1, 1)])
    interval = fit_interval(labels, np.column_stack([labels * 0, known]), LEVEL, LABEL)
    assert interval.beyond is not None
    value, low, high = predict(with_interval(graph, interval), matrix).T
    assert low == pytest.approx(np.minimum(value, known[:, 0] - interval.beyond), abs=1e-4)
    assert high == pytest.approx(np.maximum(value, known[:, 1] + interval.beyond), abs=1e-4)


def test_errors_that_are_alike_leave_the_quantiles_out_of_the_graph() -> None:
    graph, labels, predictions = of_world(spread=0.0)
    interval = fit_interval(labels, predictions, LEVEL, LABEL)
    served = onnx.load_from_string(with_interval(graph, interval)).graph
    assert (interval.beyond, [node for node in served.node if QUANTILES in node.output]) == (None, [])


def test_few_rows_learn_no_quantiles() -> None:
    matrix, labels = world(FEWEST - 1, 1, spread=1.0)
    folds = Folds(of=np.arange(len(labels)) % 4)
    assert with_quantiles(b"", matrix, labels, folds, np.ones(len(labels), dtype=bool), seed=1, threads=1) is None
