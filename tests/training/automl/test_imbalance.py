import numpy as np
import pytest

from pushline.training.automl.imbalance import TREATMENTS, treated

KINDS = ("number", "category", "number")


@pytest.fixture
def table() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    labels = (np.arange(300) % 10 == 0).astype(np.int64)
    numbers = random.normal(size=(300, 2)) + labels[:, None]
    numbers[::7, 0] = np.nan
    matrix = np.stack([numbers[:, 0], random.integers(-1, 4, 300), numbers[:, 1]], axis=1).astype(np.float32)
    return matrix, labels


def test_none_changes_nothing(table):
    rows, labels, weights = treated("none", *table, KINDS, 1)
    assert rows is table[0]
    assert labels is table[1]
    assert weights is None


def test_class_weights_make_the_classes_weigh_alike(table):
    rows, labels, weights = treated("class_weight", *table, KINDS, 1)
    assert rows is table[0]
    assert weights[labels == 1].sum() == pytest.approx(weights[labels == 0].sum())


@pytest.mark.parametrize(("treatment", "rows"), [("oversample", 540), ("undersample", 60), ("smote", 540)])
def test_resampling_makes_the_classes_as_large_as_each_other(table, treatment, rows):
    matrix, labels, weights = treated(treatment, *table, KINDS, 1)
    assert matrix.dtype == np.float32
    assert (len(matrix), len(labels)) == (rows, rows)
    assert np.bincount(labels).tolist() == [rows // 2, rows // 2]
    assert weights is None


def test_smote_invents_no_category_between_two(table):
    matrix, _, _ = treated("smote", *table, KINDS, 1)
    assert set(np.unique(matrix[:, 1])) <= {-1.0, 0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("kinds", [("number", "number", "number"), ("category", "category", "category")])
def test_smote_takes_tables_of_one_kind(table, kinds):
    matrix, labels = np.nan_to_num(table[0]).round(), table[1]
    assert len(treated("smote", matrix, labels, kinds, 1)[0]) == 540


def test_the_same_seed_draws_the_same_rows(table):
    for treatment in TREATMENTS:
        first, second = (treated(treatment, *table, KINDS, 4)[0] for _ in range(2))
        assert np.array_equal(first, second, equal_nan=True)
