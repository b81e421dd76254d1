"""How rows are dealt to folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.training.automl.trials import folds_in_time, folds_of, same_rows


@given(st.integers(2, 6), st.integers(0, 99), st.integers(1, 30), st.integers(10, 200))
def test_rows_that_belong_together_share_a_fold(folds: int, seed: int, groups: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    together, labels = random.integers(0, groups, rows), random.integers(0, 3, rows)
    fold = folds_of(labels, folds, seed, together)
    assert fold.min() >= 0
    assert fold.max() < folds
    for group in np.unique(together):
        assert len(np.unique(fold[together == group])) == 1


@pytest.mark.parametrize("together", [None, np.arange(1000)])
def test_the_classes_shares_are_alike_in_every_fold(together: np.ndarray | None) -> None:
    labels = (np.arange(1000) % 10 == 0).astype(np.int64)
    fold = folds_of(labels, 5, 1, together)
    assert np.bincount(fold).tolist() == [200] * 5
    assert np.bincount(fold, weights=labels).tolist() == [20] * 5


def test_large_groups_do_not_pile_up_in_one_fold() -> None:
    random = np.random.default_rng(2)
    together = np.repeat(np.arange(60), random.integers(1, 200, 60))
    labels = (random.random(len(together)) < 0.1).astype(np.int64)
    fold = folds_of(labels, 5, 1, together)
    assert np.bincount(fold).min() > 0.7 * len(together) / 5
    assert np.bincount(fold, weights=labels).min() > 0.7 * labels.sum() / 5


def test_rows_are_the_same_whatever_bits_their_zeros_and_missing_values_have() -> None:
    other = np.array([np.nan], dtype=np.float32).view(np.uint32) | np.uint32(1)
    matrix = np.array([[0.0, np.nan], [-0.0, 0.0], [1.0, np.nan], [np.nan, 0.0]], dtype=np.float32)
    matrix[1, 1:] = other.view(np.float32)
    numbers = same_rows(matrix)
    assert numbers[0] == numbers[1]
    assert len(set(numbers.tolist())) == 3


def test_folds_in_time_go_forward_and_the_first_is_never_predicted() -> None:
    moments = np.random.default_rng(3).integers(0, 40, 600)
    folds = folds_in_time(moments, 4)
    assert folds.judged == (1, 2, 3, 4)
    assert np.bincount(folds.of).min() > 60
    for fold in range(4):
        assert moments[folds.of == fold].max() < moments[folds.of == fold + 1].min()


def test_few_moments_give_fewer_folds() -> None:
    assert folds_in_time(np.array([0, 0, 0, 1, 1, 2]), 5).judged == (1, 2)
