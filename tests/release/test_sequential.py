"""Bounds on a share that hold at every look, on worlds where the share is known."""

import doctest

import numpy as np
import pytest

from pushline.release import sequential
from pushline.release.sequential import bounds, surely_more


def test_the_example_of_the_module_runs() -> None:
    assert doctest.testmod(sequential).failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.002, 0.1, 0.5])
def test_bounds_that_are_looked_at_all_the_time_are_wrong_no_more_often_than_they_say(share: float) -> None:
    worlds = np.random.default_rng(7).random((400, 3000)) < share
    looks = np.arange(20, 3001, 20)
    wrong = 0
    for events in worlds.cumsum(axis=1)[:, looks - 1]:
        inside = (low <= share <= high for low, high in (bounds(int(e), int(n), alpha=0.05) for e, n in zip(events, looks, strict=True)))
        wrong += not all(inside)
    assert wrong <= 0.05 * 400


def test_a_share_of_rows_is_bounded_as_a_value_between_0_and_1() -> None:
    draws = np.random.default_rng(7).beta(0.3, 0.7, (300, 1000)).cumsum(axis=1)
    looks = range(50, 1001, 50)
    wrong = sum(not all(bounds(float(sums[n - 1]), n, alpha=0.05)[0] <= 0.3 <= bounds(float(sums[n - 1]), n, alpha=0.05)[1] for n in looks)
                for sums in draws)  # fmt: skip
    assert wrong <= 0.05 * 300


def test_nothing_seen_says_nothing_and_all_or_none_of_the_trials_leave_the_end_possible() -> None:
    assert bounds(0, 0, alpha=0.01) == (0.0, 1.0)
    assert bounds(0, 500, alpha=0.01)[0] == 0.0
    assert bounds(500, 500, alpha=0.01)[1] == 1.0


def test_a_larger_share_is_told_from_a_margin() -> None:
    assert surely_more((60, 200), (400, 4000), margin=0.05, alpha=0.01)
    assert not surely_more((60, 200), (400, 4000), margin=0.15, alpha=0.01)
