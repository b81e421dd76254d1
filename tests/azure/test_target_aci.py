"""What every target owes, asked of container groups: the tests of the local target, where a delivery does not ask the same."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake.loopback import Loopback

from conftest import QUICK
from models_made import release_of
from pushline.azure.target import AciTarget
from pushline.progress import silent
from pushline.project import Project
from pushline.results import Release
from pushline.settings import load_settings
from release.test_target import (
    release_at,
    test_a_damaged_model_is_refused,
    test_a_rollback_is_possible_after_a_stop,
    test_a_second_candidate_takes_the_place_of_the_first,
    test_a_target_without_a_release_says_so,
    test_a_withdrawn_first_promotion_leaves_nothing_live,
    test_a_withdrawn_promotion_leaves_what_was_live_before,
    test_rollback_without_a_previous_release_changes_nothing,
    test_stop_ends_the_live_release_and_the_candidate,
    test_the_live_release_deployed_again_is_not_its_own_previous,
)

__all__ = [
    "release_at",
    "test_a_damaged_model_is_refused",
    "test_a_rollback_is_possible_after_a_stop",
    "test_a_second_candidate_takes_the_place_of_the_first",
    "test_a_target_without_a_release_says_so",
    "test_a_withdrawn_first_promotion_leaves_nothing_live",
    "test_a_withdrawn_promotion_leaves_what_was_live_before",
    "test_rollback_without_a_previous_release_changes_nothing",
    "test_stop_ends_the_live_release_and_the_candidate",
    "test_the_live_release_deployed_again_is_not_its_own_previous",
]
pytestmark = pytest.mark.slow


@pytest.fixture
def release(model: Path) -> Callable[[int], Release]:
    """One model under several numbers: what differs between releases is not what is tested here."""
    return lambda number: release_of(model, number)


@pytest.fixture
def target(azure: Loopback, aci: Project, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AciTarget]:
    """The aci target of a fresh project under a name of its own."""
    for name, value in azure.reach().items() | azure.as_job().items():
        monkeypatch.setenv(name, value)
    label = f"owes-{abs(hash(request.node.name)) % 10**8}"
    made = AciTarget(aci, load_settings(aci.root, {**azure.settings(), **QUICK, "PUSHLINE_AZURE__LABEL": label}))
    yield made
    made.stop(silent)
