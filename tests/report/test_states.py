"""When a stage's result counts, and when something before it has changed."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from pushline.report.states import states_of
from pushline.results import FetchResult, save
from report.delivery_made import START, leave_everything, results

LATER = START + timedelta(days=1)


def fetched_again(build: Path, **changed: str) -> dict[str, str]:
    """Every stage's state after a fetch that ended a day later."""
    leave_everything(build)
    first = next(result for result in results(build) if isinstance(result, FetchResult))
    save(build, msgspec.structs.replace(first, made_at=LATER, **changed))
    return {state.name: state.state for state in states_of(build)}


def test_the_same_data_fetched_again_makes_nothing_stale(tmp_path: Path) -> None:
    assert set(fetched_again(tmp_path / "build").values()) == {"done"}


def test_other_data_fetched_makes_everything_stale(tmp_path: Path) -> None:
    states = fetched_again(tmp_path / "build", data_version="ffffffffffff")
    assert states.pop("fetch") == "done"
    assert set(states.values()) == {"stale"}


@pytest.mark.parametrize("stage", ["check-data", "train", "register", "deploy"])
def test_what_comes_after_a_stage_that_ran_again_is_stale(stage: str, tmp_path: Path) -> None:
    leave_everything(tmp_path)
    again = next(result for result in results(tmp_path) if type(result).stage == stage)
    save(tmp_path, msgspec.structs.replace(again, made_at=LATER))
    states = {state.name: state.state for state in states_of(tmp_path)}
    after = list(states)[list(states).index(stage) + 1 :]
    assert {states[name] for name in after} == {"stale"}
    assert states[stage] == "done"
