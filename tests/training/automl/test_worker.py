import numpy as np
import pytest

from pushline.training.automl.algorithms import ALGORITHMS, Candidate
from pushline.training.automl.worker import Job, fitted, some_of


@pytest.mark.parametrize("share", [0.5, 0.05, 0.0001])
def test_a_share_of_the_rows_is_one_of_every_class(share):
    labels = np.repeat([0, 1, 2], [5000, 400, 3])
    learn = np.arange(len(labels)) % 5 != 0
    kept = some_of(learn, labels, share, seed=3)
    assert not kept[~learn].any()
    for name in range(3):
        rows = int(np.sum(learn & (labels == name)))
        assert np.sum(kept & (labels == name)) == max(1, int(np.ceil(share * rows)))
    assert np.array_equal(kept, some_of(learn, labels, share, seed=3))
    assert share < 0.01 or not np.array_equal(kept, some_of(learn, labels, share, seed=4))


@pytest.mark.parametrize("forward", [False, True])
def test_a_fold_in_time_is_predicted_by_what_came_before_it_alone(forward):
    folds = np.repeat([0, 1, 2], 200)
    matrix = np.random.default_rng(1).normal(size=(600, 2)).astype(np.float32)
    labels = np.where(folds == 2, 1, np.arange(600) % 10 == 0).astype(np.int64)  # the world turns in the last block
    candidate = Candidate(name="one", algorithm="DecisionTree", builder=ALGORITHMS["DecisionTree"].builder, parameters={"max_depth": 1})
    made = fitted(Job(candidate=candidate, fold=1, seed=1, threads=1, forward=forward), matrix, labels, folds, ("number", "number"), 2)
    assert made.error == ""
    assert (made.probabilities[:, 1].mean() < 0.2) == forward
