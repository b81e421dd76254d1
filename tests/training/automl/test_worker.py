import numpy as np
import pytest

from pushline.training.automl.worker import some_of


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
