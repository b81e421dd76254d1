"""What can go wrong in Azure, each through the real command: its exit code, its message, and what stays as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fake.loopback import RELEASE, TRAINING, Loopback
from fake.world import SUBSCRIPTION

from conftest import Command, Ended, registered
from pushline.project import Project

GROUP = r"containerGroups/"


@pytest.fixture
def candidate(azure: Loopback, aci: Project, model: Path, command: Command) -> Callable[[], Ended]:
    """`pushline deploy` of a model version that the registry holds as accepted, under a label of its own."""
    version = registered(azure, aci, model, "fault-model")
    assert command("discard", PUSHLINE_MODEL_NAME="fault-model").code == 0  # what the test before has left would be gone on with

    def deploy(**variables: str) -> Ended:
        return command("deploy", "--version", version, PUSHLINE_MODEL_NAME="fault-model", **variables)

    return deploy


def test_a_missing_client_id_is_named(command: Command) -> None:
    ended = command("status", AZURE_CLIENT_ID="")
    assert ended.code == 2
    assert "AZURE_CLIENT_ID is not set" in ended.err


def test_a_missing_setting_is_named_with_its_variable(command: Command) -> None:
    ended = command("status", PUSHLINE_AZURE__WORKSPACE="")
    assert ended.code == 2
    assert "PUSHLINE_AZURE__WORKSPACE" in ended.err


def test_a_federated_subject_that_does_not_match_is_told_with_the_one_to_add(azure: Loopback, command: Command) -> None:
    azure.world.directory.subject = "repo:someone/bank:ref:refs/heads/main"
    ended = command("status")
    assert ended.code == 4
    assert "subject repo:someone/bank:ref:refs/heads/main." in ended.err


def test_an_identity_of_another_tenant_is_told(command: Command) -> None:
    ended = command("status", AZURE_CLIENT_ID="aaaa1111-0000-0000-0000-00000000ffff")
    assert ended.code == 4
    assert "Set AZURE_CLIENT_ID" in ended.err


def test_a_runner_that_may_not_ask_for_a_token_is_told_the_permission(command: Command) -> None:
    ended = command("status", ACTIONS_ID_TOKEN_REQUEST_TOKEN="of-another-job")
    assert ended.code == 4
    assert "id-token: write" in ended.err


def test_a_workspace_that_is_not_there_is_a_setting_to_correct(command: Command) -> None:
    ended = command("deploy", "--version", "1", PUSHLINE_AZURE__WORKSPACE="nowhere")
    assert ended.code == 2
    assert "nowhere" in ended.err


def test_a_missing_role_is_told_with_the_action(candidate: Callable[..., Ended], azure: Loopback) -> None:
    ended = candidate(**azure.as_job(TRAINING))
    assert ended.code == 4
    assert "Microsoft.ContainerRegistry/registries" in ended.err or "Microsoft.ContainerInstance/containerGroups" in ended.err
    assert "`pushline docs azure`" in ended.err
    assert azure.world.asked("PUT", GROUP + "fault-model") == []


def test_training_is_refused_the_keys_with_the_action_it_lacks(command: Command) -> None:
    ended = command("keys", "show-path", client=TRAINING)
    assert ended.code == 4
    assert "Microsoft.KeyVault/vaults/secrets/getSecret/action" in ended.err


def test_throttling_is_waited_out_as_long_as_azure_says(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    throttled = azure.world.fault("PUT", GROUP, 429, headers={"Retry-After": "1"}, content={"error": {"code": "TooManyRequests"}}, times=2)
    ended = candidate()
    assert ended.code == 0, ended.err
    assert throttled.seen >= 3


def test_an_answer_that_never_comes_and_a_broken_one_are_asked_again(azure: Loopback, command: Command) -> None:
    azure.world.fault("GET", "datastores/workspaceblobstore", 503, times=2)
    azure.world.fault("GET", GROUP, 502, times=1)
    assert command("status").code == 0


def test_a_service_that_stays_broken_is_given_up_on_within_bounds(azure: Loopback, command: Command) -> None:
    broken = azure.world.fault("GET", "datastores/workspaceblobstore", 500, content={"error": {"code": "InternalError"}}, times=99)
    ended = command("status")
    assert ended.code == 4
    assert "busy or broken" in ended.err
    assert "goes on where it stopped" in ended.err
    assert broken.seen < 20


def test_another_operation_in_progress_is_waited_for(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    content = {"error": {"code": "ContainerGroupTransitioning", "message": "still transitioning, please retry later"}}
    azure.world.fault("PUT", GROUP, 409, content=content, times=1)
    ended = candidate()
    assert ended.code == 0, ended.err


def test_a_group_that_azure_does_not_show_yet_is_looked_for_again(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    content = {"error": {"code": "ResourceNotFound", "message": "not found"}}
    azure.world.fault("GET", GROUP + r"[\w-]+$", 404, content=content, times=1, after=3)
    ended = candidate()
    assert ended.code == 0, ended.err


def test_a_group_that_stays_pending_is_given_up_on_and_removed(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    azure.world.behaviour["fault-model-candidate"] = "pending"
    ended = candidate(PUSHLINE_AZURE__START_WITHIN="3s")
    assert ended.code == 4
    assert "did not start within 3 s" in ended.err
    assert "Pulling" in ended.err
    assert not [group for group in azure.world.groups.values() if group.name == "fault-model-candidate"]


def test_a_container_that_keeps_ending_is_told_at_once_with_its_last_words(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    azure.world.behaviour["fault-model-candidate"] = "crash"
    ended = candidate()
    assert ended.code == 4
    assert "the container scoring keeps ending" in ended.err
    assert "The model folder can't be used" in ended.err
    assert not [group for group in azure.world.groups.values() if group.name == "fault-model-candidate"]


def test_a_name_that_others_have_is_a_setting_to_change(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    azure.world.taken.add("fault-model-c")
    ended = candidate()
    assert ended.code == 2
    assert "is taken" in ended.err
    assert "label" in ended.err


def test_a_quota_of_container_groups_names_the_settings(candidate: Callable[..., Ended]) -> None:
    ended = candidate(PUSHLINE_AZURE__CPU="64")
    assert ended.code == 4
    assert "cpu or memory_gb" in ended.err


def test_tasks_that_a_subscription_may_not_use_name_the_other_way(azure: Loopback, candidate: Callable[..., Ended], aci: Project) -> None:
    file = aci.root / "requirements" / "serve.txt"
    file.write_text(file.read_text() + "# so that the image is another one\n")
    content = {"error": {"code": "TasksOperationsNotAllowed", "message": "ACR Tasks requests are not permitted."}}
    azure.world.fault("POST", "scheduleRun", 403, content=content)
    ended = candidate()
    assert ended.code == 4
    assert 'image_builder = "docker"' in ended.err


def test_docker_hub_is_asked_by_name_where_one_is_given(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    named = {"DOCKERHUB_USERNAME": "someone", "DOCKERHUB_TOKEN": "token"}
    assert candidate(PUSHLINE_AZURE__SIDECAR="docker.io/library/caddy:2.11.6", **named).code == 0
    body = json.loads(azure.world.asked("POST", "importImage")[-1].body)
    assert body["source"]["credentials"] == {"username": "someone", "password": "token"}


def test_a_build_that_does_not_end_is_given_up_on(
    azure: Loopback, candidate: Callable[..., Ended], aci: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = aci.root / "requirements" / "serve.txt"
    file.write_text(file.read_text() + "# so that the image is a third one\n")
    azure.world.behaviour["builds"] = "never end"
    monkeypatch.setattr("pushline.azure.container_registry.BUILD_S", 1.0)
    monkeypatch.setattr("pushline.azure.container_registry.LOOK_S", 0.1)
    ended = candidate()
    assert ended.code == 4
    assert "ended as Running" in ended.err


def test_keys_that_are_mounted_for_root_alone_still_reach_the_service(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    azure.world.behaviour["secrets for root"] = "yes"
    ended = candidate()
    assert ended.code == 0, ended.err


def test_an_image_that_can_not_be_pulled_yet_is_tried_again(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    content = {"error": {"code": "InaccessibleImage", "message": "The image is not accessible."}}
    azure.world.fault("PUT", GROUP, 400, content=content, times=2)
    ended = candidate()
    assert ended.code == 0, ended.err


def test_a_token_that_is_refused_in_the_middle_is_told(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    content = {"error": {"code": "InvalidAuthenticationToken", "message": "The access token has been revoked."}}
    azure.world.fault("PUT", GROUP, 401, content=content, times=99)
    ended = candidate()
    assert ended.code == 4
    assert "did not let us in while putting the container group" in ended.err


def test_a_rerun_goes_on_with_the_candidate_that_stands(azure: Loopback, candidate: Callable[..., Ended]) -> None:
    assert candidate().code == 0
    puts = len(azure.world.asked("PUT", GROUP))
    again = candidate()
    assert again.code == 0
    assert "already runs" in again.err
    assert len(azure.world.asked("PUT", GROUP)) == puts


def test_training_may_not_touch_groups_or_keys(azure: Loopback) -> None:
    from fake.resources import permitted

    for action in (
        "Microsoft.ContainerInstance/containerGroups/write",
        "Microsoft.ContainerInstance/containerGroups/delete",
        "Microsoft.KeyVault/vaults/secrets/setSecret/action",
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        "Microsoft.ContainerRegistry/registries/scheduleRun/action",
    ):
        assert not permitted(azure.world, TRAINING, action)
        assert permitted(azure.world, RELEASE, action)


def test_release_may_not_train(azure: Loopback) -> None:
    from fake.resources import permitted

    assert permitted(azure.world, TRAINING, "Microsoft.MachineLearningServices/workspaces/jobs/write")
    assert not permitted(azure.world, RELEASE, "Microsoft.MachineLearningServices/workspaces/jobs/write")


def test_two_commands_at_once_do_not_overwrite_each_other(azure: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    from pushline.azure.cloud import Cloud
    from pushline.azure.state import AciRecord, AciState
    from pushline.errors import TargetError
    from pushline.settings import Azure

    for name, value in azure.as_job().items():
        monkeypatch.setenv(name, value)
    cloud = Cloud(Azure(subscription=SUBSCRIPTION, resource_group="bank-rg", workspace="bank-ws"))
    mine, theirs = AciRecord(cloud, "two-at-once"), AciRecord(cloud, "two-at-once")
    mine.read(), theirs.read()
    theirs.write(AciState())
    with pytest.raises(TargetError, match="Another command has changed the target"):
        mine.write(AciState())
    mine.read()
    mine.write(AciState())


def test_a_promotion_that_does_not_come_up_puts_the_release_before_back(
    azure: Loopback, aci: Project, model: Path, candidate: Callable[..., Ended], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models_made import release_of
    from pushline.azure.target import AciTarget
    from pushline.errors import TargetError
    from pushline.progress import silent
    from pushline.settings import load_settings

    del command
    assert candidate().code == 0
    monkeypatch.setenv("PUSHLINE_MODEL_NAME", "fault-model")
    monkeypatch.setenv("PUSHLINE_AZURE__LABEL", "comes-back")
    target = AciTarget(aci, load_settings(aci.root))
    one = target.promote(target.deploy_candidate(release_of(model, 1), silent), silent)
    standing = target.deploy_candidate(release_of(model, 2), silent)
    azure.world.behaviour["comes-back"] = "crash"
    told: list[str] = []

    def progress(line: str) -> None:
        told.append(line)
        if line.startswith("Putting v1-test back"):
            azure.world.behaviour.clear()

    with pytest.raises(TargetError, match="does not answer on comes-back"):
        target.promote(standing, progress)
    seen = target.status()
    assert seen.live is not None
    assert (seen.live.release.id, seen.live.url, seen.live.ready) == ("v1-test", one.url, True)
    assert "Putting v1-test back on the live name." in told
    target.stop(silent)
