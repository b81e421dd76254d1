"""What every target owes, asked of a container app: the tests of the local target, through the ingress of the loopback Azure."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake import estate
from fake.loopback import Loopback

from conftest import QUICK
from models_made import release_of
from pushline.azure.containerapps.definition import cpu_fault
from pushline.azure.containerapps.target import ContainerAppsTarget
from pushline.errors import SettingsError, TargetError
from pushline.progress import silent
from pushline.project import Project
from pushline.results import Release
from pushline.settings import load_settings
from release.conftest import deliver
from release.test_target import (
    ReleaseAt,
    release_at,
    test_a_candidate_answers_beside_the_live_release,
    test_a_damaged_model_is_refused,
    test_a_promoted_release_answers_all_that_smoke_asks,
    test_a_rollback_is_possible_after_a_stop,
    test_a_second_candidate_takes_the_place_of_the_first,
    test_a_target_without_a_release_says_so,
    test_a_withdrawn_first_promotion_leaves_nothing_live,
    test_a_withdrawn_promotion_leaves_what_was_live_before,
    test_discarding_the_candidate_leaves_the_live_release,
    test_logs_tell_what_was_refused,
    test_promotion_puts_the_candidate_on_the_live_address,
    test_rollback_without_a_previous_release_changes_nothing,
    test_rotation_keeps_the_key_that_clients_have,
    test_stop_ends_the_live_release_and_the_candidate,
    test_the_live_release_deployed_again_is_not_its_own_previous,
)

__all__ = [
    "release_at",
    "test_a_candidate_answers_beside_the_live_release",
    "test_a_damaged_model_is_refused",
    "test_a_promoted_release_answers_all_that_smoke_asks",
    "test_a_rollback_is_possible_after_a_stop",
    "test_a_second_candidate_takes_the_place_of_the_first",
    "test_a_target_without_a_release_says_so",
    "test_a_withdrawn_first_promotion_leaves_nothing_live",
    "test_a_withdrawn_promotion_leaves_what_was_live_before",
    "test_discarding_the_candidate_leaves_the_live_release",
    "test_logs_tell_what_was_refused",
    "test_promotion_puts_the_candidate_on_the_live_address",
    "test_rollback_without_a_previous_release_changes_nothing",
    "test_rotation_keeps_the_key_that_clients_have",
    "test_stop_ends_the_live_release_and_the_candidate",
    "test_the_live_release_deployed_again_is_not_its_own_previous",
]
pytestmark = pytest.mark.slow


@pytest.fixture
def release(model: Path) -> Callable[[int], Release]:
    """One model under several numbers: what differs between releases is not what is tested here."""
    return lambda number: release_of(model, number)


@pytest.fixture
def target(azure: Loopback, aci: Project, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContainerAppsTarget]:
    """The containerapps target of a fresh project under a name of its own."""
    monkeypatch.setattr("pushline.azure.containerapps.app.LOOK_S", 0.1)
    for name, value in azure.reach().items() | azure.as_job().items():
        monkeypatch.setenv(name, value)
    label = f"owes-{abs(hash(request.node.name)) % 10**8}"
    said = {**azure.settings(), **QUICK, "PUSHLINE_TARGET": "containerapps", "PUSHLINE_AZURE__LABEL": label}
    made = ContainerAppsTarget(aci, load_settings(aci.root, said))
    yield made
    if made.app.read().there:
        made.app.remove()
    assert not azure.world.invalid


def test_a_rollback_moves_the_weight_to_a_revision_that_runs(
    azure: Loopback, target: ContainerAppsTarget, release: Callable[[int], Release], release_at: ReleaseAt
) -> None:
    for number in (1, 2, 3):
        deliver(target, release(number))
    before = len(azure.world.calls)
    assert release_at(target.roll_back(silent)) == "v2-test"
    asked = [call for call in azure.world.calls[before:] if call.method != "GET" and "/containerApps/" in call.path]
    assert [(call.method, call.path.rpartition("/")[2]) for call in asked[:1]] == [("PATCH", target.label)]
    assert not [call for call in asked if call.path.endswith(("/activate", "/restart", "/start"))]
    assert release_at(target.roll_back(silent)) == "v1-test", "this one was not running any more"
    [app] = [each for each in azure.world.apps.values() if each.name == target.label]
    assert [each.active for each in app.revisions.values()] == [True, False, False]


def test_a_candidate_that_keeps_ending_is_removed_and_its_last_words_are_told(
    azure: Loopback, target: ContainerAppsTarget, release: Callable[[int], Release], release_at: ReleaseAt
) -> None:
    live = deliver(target, release(1))
    azure.world.behaviour[target.label] = "crash"
    with pytest.raises(TargetError, match=r"keeps ending .3 restarts.*The model folder can't be used"):
        target.deploy_candidate(release(2), silent)
    azure.world.behaviour.clear()
    found = target.status()
    assert (found.candidate, found.notes) == (None, ())
    assert release_at(live) == "v1-test"
    [app] = [each for each in azure.world.apps.values() if each.name == target.label]
    assert [each.active for each in app.revisions.values()] == [True, False]


def test_an_environment_or_a_right_that_is_not_there_names_the_command_that_makes_it(
    azure: Loopback, target: ContainerAppsTarget, release: Callable[[int], Release], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(azure.world.rights, estate.PULLER, ())
    with pytest.raises(TargetError) as refused:
        target.deploy_candidate(release(1), silent)
    assert "pushline bootstrap azure --apply" in refused.value.do
    monkeypatch.delitem(azure.world.resources, estate.ENVIRONMENT.lower())
    with pytest.raises(TargetError) as unknown:
        target.deploy_candidate(release(1), silent)
    assert "pushline bootstrap azure --apply" in unknown.value.do
    assert not target.app.read().there


def test_a_name_or_a_size_that_container_apps_does_not_take_is_a_setting(aci: Project, azure: Loopback) -> None:
    said = {**azure.settings(), **QUICK, "PUSHLINE_TARGET": "containerapps"}
    for label in ("a-name-of-more-than-thirty-two-characters", "two--dashes", "9-first"):
        with pytest.raises(SettingsError, match="can't be the name of an endpoint"):
            ContainerAppsTarget(aci, load_settings(aci.root, {**said, "PUSHLINE_AZURE__LABEL": label}))
    assert "steps of 0.25" in cpu_fault(0.3)
    assert "steps of 0.25" in cpu_fault(4.25)
    assert cpu_fault(0.75) == ""
