import numpy as np
import pytest

from pushline.data.contract import Column
from pushline.training.export import predict
from pushline.training.graph import Calibration, Linear, matrix_graph
from pushline.training.interval import PredictionInterval, fit_interval, half_width, with_interval

LABEL = Column(name="price", type="number", role="label")
LEVEL = 0.9


def world(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A quantity of four columns whose noise has a long tail and grows with what is expected."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, 4)).astype(np.float32)
    middle = 5 + matrix @ np.array([2.0, -1.0, 0.5, 0.0])
    return matrix, middle + (0.4 + 0.3 * np.abs(middle)) * random.standard_t(5, rows)


def weights_of(matrix: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(np.column_stack([matrix, np.ones(len(matrix))]), labels, rcond=None)[0]


def fitted(matrix: np.ndarray, labels: np.ndarray) -> bytes:
    """The graph of the least squares on all rows, with the interval of its predictions out of fold."""
    folds, predictions = np.arange(len(labels)) % 5, np.empty(len(labels))
    for fold in range(5):
        weights = weights_of(matrix[folds != fold], labels[folds != fold])
        predictions[folds == fold] = matrix[folds == fold] @ weights[:-1] + weights[-1]
    weights, ones = weights_of(matrix, labels), np.ones(4)
    part = Linear(
        fill=0 * ones, numbers=(0, 1, 2, 3), mean=0 * ones, scale=ones, categories=(), weights=weights[:-1, None], bias=weights[-1:]
    )
    graph = matrix_graph([part], [1.0], Calibration(), columns=4, classes=1).SerializeToString()
    return with_interval(graph, fit_interval(labels, predictions[:, None], LEVEL, LABEL))


@pytest.mark.slow
def test_over_many_tables_the_intervals_hold_the_share_they_promise() -> None:
    held, by_half = [], []
    for seed in range(200):
        matrix, labels = world(1000, seed)
        new, truth = world(500, seed + 10_000)
        value, low, high = predict(fitted(matrix, labels), new).T
        inside = (truth >= low) & (truth <= high)
        held.append(inside.mean())
        by_half.append(inside[value > np.median(value)].mean())
    assert 0.89 <= np.mean(held) <= 0.91
    assert 0.88 <= np.mean(by_half) <= 0.92  # where values and errors are large too


def test_few_rows_promise_no_less() -> None:
    inside = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        residuals, new = np.abs(random.normal(size=60)), np.abs(random.normal(size=200))
        inside.append(np.mean(new <= half_width(residuals, LEVEL)))
    assert 0.89 <= np.mean(inside) <= 0.915


def test_value_low_and_high_never_leave_the_bounds_of_the_label() -> None:
    matrix, labels = world(600, 1)
    part = Linear(
        fill=np.zeros(1), numbers=(0,), mean=np.zeros(1), scale=np.ones(1), categories=(), weights=np.full((1, 1), 9.0), bias=np.zeros(1)
    )
    graph = matrix_graph([part], [1.0], Calibration(), columns=4, classes=1).SerializeToString()
    label = Column(name="price", type="number", role="label", minimum=0, maximum=12)
    served = predict(with_interval(graph, fit_interval(labels, labels[:, None] + 1, LEVEL, label)), matrix)
    assert served.min() == 0
    assert served.max() == 12
    value, low, high = served.T
    assert ((low <= value) & (value <= high)).all()


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_rows_too_few_for_the_level_give_the_largest_residual(rows: int) -> None:
    residuals = np.arange(rows, dtype=float)
    assert half_width(residuals, LEVEL) == rows - 1


@pytest.mark.parametrize("borders", [0, 1, 2, 4])
def test_each_range_of_the_value_has_its_own_width(borders: int) -> None:
    edges, widths = tuple(float(place) for place in range(borders)), tuple(float(place + 1) for place in range(borders + 1))
    part = Linear(
        fill=np.zeros(1), numbers=(0,), mean=np.zeros(1), scale=np.ones(1), categories=(), weights=np.ones((1, 1)), bias=np.zeros(1)
    )
    graph = matrix_graph([part], [1.0], Calibration(), columns=1, classes=1).SerializeToString()
    made = with_interval(graph, PredictionInterval(level=LEVEL, edges=edges, widths=widths))
    for given in (-7.5, -0.5, *edges, *(edge + 0.25 for edge in edges)):
        value, low, high = predict(made, np.array([[given]], dtype=np.float32))[0]
        width = widths[sum(given >= edge for edge in edges)]
        assert (value, low, high) == (given, given - width, given + width)
