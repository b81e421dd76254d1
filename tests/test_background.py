"""Work beside a block: done when the block ends, and silent about its own failure."""

import threading

import pytest

from pushline.background import meanwhile


def test_what_is_done_beside_a_block_is_done_when_the_block_ends():
    begun, done = threading.Event(), []

    def work() -> None:
        begun.wait(60)
        done.append(threading.current_thread())

    with meanwhile(work):
        assert not done
        begun.set()
    assert done != [threading.current_thread()]
    assert len(done) == 1


def test_a_failure_beside_a_block_is_left_to_whoever_needs_the_work():
    def fail() -> None:
        raise OSError("no such registry")

    with meanwhile(fail):
        pass


def test_a_failure_of_the_block_is_raised_after_the_work_has_ended():
    done = threading.Event()
    with pytest.raises(ValueError, match="of the block"), meanwhile(done.set):
        raise ValueError("of the block")
    assert done.is_set()
