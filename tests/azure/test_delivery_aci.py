"""The whole delivery on the aci target, through the real command: twice, then one that fails, then the way back."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from fake.loopback import RELEASE, TRAINING, Loopback

from conftest import Delivery, Pushline
from pushline.release.asking import Client
from pushline.results import Deployed, LoadTested, Promoted, Registered, Smoked, Trained, load
from pushline.settings import load_settings
from working_copy import REPO

pytestmark = pytest.mark.slow
NAME = load_settings(REPO, {}).model_name
GROUPS = "containerGroups/"


def status(pushline: Pushline, delivery: Delivery) -> dict[str, dict[str, object]]:
    seen = pushline(delivery.project, "status", "--json")
    assert seen.code == 0, seen.err
    return dict(json.loads(seen.out))


def test_a_first_delivery_ends_with_a_live_release_that_was_smoked_and_loaded(first: Delivery) -> None:
    build = first.project.build
    assert load(build, Deployed).target == load(build, Promoted).target == "aci"
    assert load(build, Smoked).passed
    assert load(build, LoadTested).passed
    assert all(assertion.passed for assertion in load(build, Promoted).assertions)
    assert load(build, Promoted).url.startswith(f"https://{NAME}.")


def test_tokens_that_live_three_seconds_are_enough_for_a_delivery_of_more_than_thirty(azure: Loopback, first: Delivery) -> None:
    assert first.seconds > 30
    refused = [call for call in azure.world.calls[first.calls :] if call.status == 401 and not call.host.endswith("vault.azure.net")]
    assert refused == []
    assert len(azure.world.directory.assertions) > 8, "a fresh assertion each time one was wanted"


def test_training_and_release_act_as_two_identities(azure: Loopback, first: Delivery) -> None:
    del first
    trained = {call.identity for call in azure.world.asked("PUT", f"/jobs/{NAME}-train")}
    released = {call.identity for call in azure.world.asked("PUT", GROUPS)}
    assert TRAINING in trained
    assert RELEASE not in trained
    assert RELEASE in released
    assert TRAINING not in released


@pytest.mark.usefixtures("official")
def test_every_body_of_the_delivery_is_valid_against_the_official_schemas(azure: Loopback, first: Delivery, second: Delivery) -> None:
    del first, second
    put = {re.sub(r"/[^/]+$", "", call.path.partition("/providers/")[2]) for call in azure.world.asked("PUT", r"^management\.azure\.com")}
    assert any("containerGroups" in path for path in put)
    assert any("jobs" in path for path in put)
    assert azure.world.invalid == []


def test_nothing_is_asked_that_the_loopback_does_not_know(azure: Loopback, second: Delivery) -> None:
    del second
    assert azure.world.unknown == []


def test_the_table_and_the_code_are_uploaded_once(azure: Loopback, second: Delivery) -> None:
    del second
    assert len(azure.world.asked("PUT", rf"/data/{NAME}-table/versions/")) == 1
    assert len({call.path for call in azure.world.asked("PUT", r"/codes/[^/]+/versions/1$")}) == 1


def test_the_trained_model_is_the_one_that_is_served(azure: Loopback, first: Delivery) -> None:
    trained = load(first.project.build, Trained)
    [group] = [each for each in azure.world.groups.values() if each.name == NAME]
    del group
    registered = load(first.project.build, Registered)
    promoted = load(first.project.build, Promoted)
    assert promoted.release.model_version == registered.version
    assert Path(trained.model, "model.onnx").read_bytes() == Path(promoted.release.model, "model.onnx").read_bytes()


def test_a_group_says_what_it_runs_and_pins_its_images_by_digest(azure: Loopback, first: Delivery) -> None:
    del first
    bodies = [json.loads(call.body) for call in azure.world.asked("PUT", GROUPS)]
    for body in bodies:
        images = [container["properties"]["image"] for container in body["properties"]["containers"]]
        assert all(re.fullmatch(r"bankacr\.azurecr\.io/[\w-]+@sha256:[0-9a-f]{64}", image) for image in images)
        assert {"pushline-release", "pushline-model-version", "pushline-image", "pushline-definition"} <= set(body["tags"])


def test_a_second_delivery_replaces_the_first_and_remembers_it(second: Delivery, pushline: Pushline) -> None:
    seen = status(pushline, second)
    assert seen["live"]["release"]["model_version"] == "2"  # type: ignore[index]
    assert seen["previous"]["model_version"] == "1"
    assert seen["candidate"] is None


@pytest.fixture(scope="session")
def failed(azure: Loopback, second: Delivery, pushline: Pushline) -> Delivery:
    """A delivery of the second version again, held to an SLO that no network keeps."""
    made = Delivery(second.project, {}, 0.0, len(azure.world.calls))
    made.ran["run"] = pushline(second.project, "run", "--from", "deploy", env={"PUSHLINE_LOAD__P99_MS": "0.01"})
    return made


def test_a_breached_slo_stops_the_delivery_and_leaves_the_live_release_alone(azure: Loopback, failed: Delivery) -> None:
    assert failed.ran["run"].code == 1
    assert "load-test stopped" in failed.ran["run"].err
    touched = {call.path.rpartition("/")[2] for call in azure.world.calls[failed.calls :] if call.method == "PUT" and GROUPS in call.path}
    assert touched == {f"{NAME}-candidate"}
    assert [group.name for group in azure.world.groups.values()] == [NAME], "the candidate was discarded"


@pytest.fixture(scope="session")
def returned(azure: Loopback, failed: Delivery, pushline: Pushline) -> Delivery:
    made = Delivery(failed.project, {}, 0.0, len(azure.world.calls))
    made.ran["rollback"] = pushline(failed.project, "rollback", "--json")
    return made


def test_rollback_puts_the_recorded_definition_back(azure: Loopback, returned: Delivery, pushline: Pushline) -> None:
    assert returned.ran["rollback"].code == 0, returned.ran["rollback"].err
    seen = status(pushline, returned)
    assert seen["live"]["release"]["model_version"] == "1"  # type: ignore[index]
    bodies = [json.loads(call.body) for call in azure.world.asked("PUT", rf"containerGroups/{NAME}$")]
    assert bodies[-1]["tags"] == bodies[0]["tags"]
    assert (
        bodies[-1]["properties"]["containers"][0]["properties"]["image"] == bodies[0]["properties"]["containers"][0]["properties"]["image"]
    )


def test_rotated_keys_are_served_and_the_outage_is_told(azure: Loopback, returned: Delivery, pushline: Pushline) -> None:
    before = msgspec.json.decode(azure.world.vault[f"pushline-{NAME}-keys"][-1]["value"])
    rotated = pushline(returned.project, "keys", "rotate")
    assert rotated.code == 0, rotated.err
    assert re.search(r"took \d+ s to come back", rotated.err)
    after = msgspec.json.decode(azure.world.vault[f"pushline-{NAME}-keys"][-1]["value"])
    assert after["secondary"] == before["primary"]
    assert after["primary"] not in (before["primary"], before["secondary"])


def test_telemetry_is_switched_off_afterwards_without_another_image(azure: Loopback, returned: Delivery, pushline: Pushline) -> None:
    again = pushline(returned.project, "deploy", "--same", env={"PUSHLINE_AZURE__TELEMETRY": "false"})
    assert again.code == 0, again.err
    last, before = [json.loads(call.body) for call in azure.world.asked("PUT", rf"containerGroups/{NAME}$")][:-3:-1]
    on, off = ([v["name"] for v in body["properties"]["containers"][0]["properties"]["environmentVariables"]] for body in (before, last))
    assert (on, off) == (["APPLICATIONINSIGHTS_CONNECTION_STRING"], [])
    assert last["tags"]["pushline-image"] == before["tags"]["pushline-image"]


def test_logs_show_the_container_in_the_shape_of_the_local_target(returned: Delivery, pushline: Pushline) -> None:
    seen = pushline(returned.project, "logs", "--json")
    assert seen.code == 0, seen.err
    entries = [json.loads(line) for line in seen.out.splitlines()]
    assert {"started", "ready"} <= {entry["event"] for entry in entries}
    assert all({"at", "level", "event"} <= entry.keys() for entry in entries)


def test_a_leftover_candidate_is_seen_and_discarded(azure: Loopback, returned: Delivery, pushline: Pushline) -> None:
    del azure
    deployed = pushline(returned.project, "deploy")
    assert deployed.code == 0, deployed.err
    assert status(pushline, returned)["candidate"]["release"]["model_version"] == "2"  # type: ignore[index]
    assert pushline(returned.project, "discard").code == 0
    assert status(pushline, returned)["candidate"] is None


def test_no_secret_is_in_any_output_file_or_log(azure: Loopback, first: Delivery, second: Delivery, returned: Delivery) -> None:
    world = azure.world
    held = [json.loads(version["value"]) for versions in world.vault.values() for version in versions]
    secrets = {key for keys in held for key in keys.values()} | set(world.directory.issued) | set(world.directory.assertions)
    secrets |= {world.directory.runner_token, *(application.secret for application in world.directory.applications.values())}
    secrets |= set(world.registry_tokens)
    from fake.estate import ANALYTICS_KEY, CONNECTION, STORAGE_KEY

    secrets |= {ANALYTICS_KEY, STORAGE_KEY, CONNECTION}
    assert len(secrets) > 20
    outputs = "".join(ran.out + ran.err for delivery in (first, second, returned) for ran in delivery.ran.values())
    texts = {"what the commands printed": outputs.encode()}
    for root in (first.project.build, first.project.state, world.folder / "groups"):
        texts |= {str(file): file.read_bytes() for file in root.rglob("*") if file.is_file() and "volumes" not in file.parts}
    told = [(place, secret[:6]) for place, text in texts.items() for secret in secrets if secret.encode() in text]
    assert told == []


def test_the_service_answers_over_tls_only_to_those_who_trust_its_name(
    azure: Loopback, returned: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    [group] = [each for each in azure.world.groups.values() if each.name == NAME]
    del returned
    for name, value in azure.reach().items():
        monkeypatch.setenv(name, value)
    assert Client(f"https://{group.fqdn}").get("/readyz").status == 200
    monkeypatch.delenv("SSL_CERT_FILE")
    assert Client(f"https://{group.fqdn}").get("/readyz").status == 0
