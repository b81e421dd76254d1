"""The whole delivery on the aci target, through the real command: twice, then one that fails, then the way back."""

import json
import os
import re
import time
from pathlib import Path

import msgspec
import pytest
from calls import kinds_of, table_of
from fake.estate import ANALYTICS_KEY, CONNECTION, STORAGE_KEY
from fake.loopback import RELEASE, TRAINING, Loopback
from fake.resources import brings, matches
from watching import telling

from conftest import Command, Delivery, Pushline
from pushline.azure import roles
from pushline.results import DeployResult, LoadTestResult, PromoteResult, RegisterResult, SmokeResult, TrainResult, load
from pushline.serving.client import Client
from pushline.settings import load_settings
from working_copy import REPO

pytestmark = pytest.mark.slow
NAME = load_settings(REPO, {}).model_name
GROUPS = "containerGroups/"
WRITE = os.environ.get("PUSHLINE_WRITE_TABLE")


def status(inside: Command, delivery: Delivery) -> dict[str, dict[str, object]]:
    seen = inside(delivery.project, "status", "--json")
    assert seen.code == 0, seen.err
    return dict(json.loads(seen.out))


def test_a_first_delivery_ends_with_a_live_release_that_was_smoked_and_loaded(first: Delivery) -> None:
    build = first.project.build
    assert load(build, DeployResult).target == load(build, PromoteResult).target == "aci"
    assert load(build, SmokeResult).passed
    assert load(build, LoadTestResult).passed
    assert all(assertion.passed for assertion in load(build, PromoteResult).assertions)
    assert load(build, PromoteResult).url.startswith(f"https://{NAME}.")
    names = [load(build, DeployResult).url.removeprefix("https://"), load(build, PromoteResult).url.removeprefix("https://")]
    assert max(map(len, names)) <= 64, "a longer one can't be the common name of a certificate (RFC 5280, ub-common-name)"


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


@pytest.mark.usefixtures("official")
def test_the_table_of_calls_is_that_of_the_first_delivery(azure: Loopback, repo: Path, first: Delivery) -> None:
    """After a change: `PUSHLINE_WRITE_TABLE=1 pytest -k table_of_calls tests/azure`, and look at what changed."""
    page = repo / "docs" / "azure-verified.md"
    before, begin, rest = page.read_text().partition("<!-- calls -->\n")
    table, end, after = rest.partition("<!-- /calls -->")
    made = kinds_of(azure.world.calls[first.calls : first.until])
    if WRITE:
        page.write_text(f"{before}{begin}{table_of(made)}{end}{after}")
        return
    said = {line for line in table.splitlines() if line.startswith("| ")} - {"| method | resource | api-version | schema-valid |"}
    assert made <= said, made - said
    # What a delivery finds there already, such as the cluster, an earlier test of this Azure has made.
    assert said <= kinds_of(azure.world.calls[: first.until])


def test_nothing_is_asked_that_the_loopback_does_not_know(azure: Loopback, second: Delivery) -> None:
    del second
    assert azure.world.unknown == []


def test_the_table_and_the_code_are_uploaded_once(azure: Loopback, second: Delivery) -> None:
    del second
    assert len(azure.world.asked("PUT", rf"/data/{NAME}-table/versions/")) == 1
    assert len({call.path for call in azure.world.asked("PUT", r"/codes/[^/]+/versions/1$")}) == 1


def test_the_trained_model_is_the_one_that_is_served(azure: Loopback, first: Delivery) -> None:
    trained = load(first.project.build, TrainResult)
    [group] = [each for each in azure.world.groups.values() if each.name == NAME]
    del group
    registered = load(first.project.build, RegisterResult)
    promoted = load(first.project.build, PromoteResult)
    assert promoted.release.model_version == registered.version
    assert Path(trained.model, "model.onnx").read_bytes() == Path(promoted.release.model, "model.onnx").read_bytes()


def test_a_group_says_what_it_runs_and_pins_its_images_by_digest(azure: Loopback, first: Delivery) -> None:
    del first
    bodies = [json.loads(call.body) for call in azure.world.asked("PUT", GROUPS)]
    for body in bodies:
        images = [container["properties"]["image"] for container in body["properties"]["containers"]]
        assert all(re.fullmatch(r"bankacr\.azurecr\.io/[\w-]+@sha256:[0-9a-f]{64}", image) for image in images)
        assert {"pushline-release", "pushline-model-version", "pushline-image", "pushline-definition"} <= set(body["tags"])


def test_who_may_read_the_keys_finds_a_healthy_release_well(first: Delivery, inside: Command) -> None:
    """The record of a release names no folder of a model: that is fetched to be asked about."""
    ended = inside(first.project, "watch", "--json")
    assert ended.code == 0, ended.err
    seen = json.loads(ended.out)
    assert (seen["health"], seen["without_keys"]) == ("well", False)


def test_a_second_delivery_replaces_the_first_and_remembers_it(second: Delivery, inside: Command) -> None:
    seen = status(inside, second)
    assert seen["live"]["release"]["model_version"] == "2"  # type: ignore[index]
    assert seen["previous"]["model_version"] == "1"
    assert seen["candidate"] is None


def test_a_run_leads_to_the_experiments_of_the_workspace(second: Delivery) -> None:
    told = second.ran["run"].out + second.ran["run"].err
    assert "the workspace bank-ws in https://ml.azure.com" in told
    assert "sqlite" not in told


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


def test_rollback_puts_the_recorded_definition_back(azure: Loopback, returned: Delivery, inside: Command) -> None:
    assert returned.ran["rollback"].code == 0, returned.ran["rollback"].err
    seen = status(inside, returned)
    assert seen["live"]["release"]["model_version"] == "1"  # type: ignore[index]
    bodies = [json.loads(call.body) for call in azure.world.asked("PUT", rf"containerGroups/{NAME}$")]
    assert bodies[-1]["tags"] == bodies[0]["tags"]
    assert (
        bodies[-1]["properties"]["containers"][0]["properties"]["image"] == bodies[0]["properties"]["containers"][0]["properties"]["image"]
    )


def test_rotated_keys_are_served_and_the_outage_is_told(azure: Loopback, returned: Delivery, inside: Command) -> None:
    before = msgspec.json.decode(azure.world.vault[f"pushline-{NAME}-keys"][-1]["value"])
    rotated = inside(returned.project, "keys", "rotate")
    assert rotated.code == 0, rotated.err
    assert re.search(r"took \d+ s to come back", rotated.err)
    after = msgspec.json.decode(azure.world.vault[f"pushline-{NAME}-keys"][-1]["value"])
    assert after["secondary"] == before["primary"]
    assert after["primary"] not in (before["primary"], before["secondary"])


def test_telemetry_is_switched_off_afterwards_without_another_image(azure: Loopback, returned: Delivery, inside: Command) -> None:
    again = inside(returned.project, "start", PUSHLINE_AZURE__TELEMETRY="false")
    assert again.code == 0, again.err
    last, before = [json.loads(call.body) for call in azure.world.asked("PUT", rf"containerGroups/{NAME}$")][:-3:-1]
    on, off = (
        {variable.pop("name"): set(variable) for variable in body["properties"]["containers"][0]["properties"]["environmentVariables"]}
        for body in (before, last)
    )
    secure = {"secureValue"}  # the keys for where their mount can't be read, and the connection: neither is shown again
    assert (on, off) == ({"PUSHLINE_KEYS": secure, "APPLICATIONINSIGHTS_CONNECTION_STRING": secure}, {"PUSHLINE_KEYS": secure})
    assert last["tags"]["pushline-image"] == before["tags"]["pushline-image"]


def test_logs_show_the_container_in_the_shape_of_the_local_target(returned: Delivery, inside: Command) -> None:
    seen = inside(returned.project, "logs", "--json")
    assert seen.code == 0, seen.err
    entries = [json.loads(line) for line in seen.out.splitlines()]
    assert {"started", "ready"} <= {entry["event"] for entry in entries}
    assert all({"at", "level", "event"} <= entry.keys() for entry in entries)


def test_the_live_release_scores_a_file(returned: Delivery, inside: Command) -> None:
    scored = inside(returned.project, "score", str(returned.project.root / "examples" / "two-rows.json"), "--json")
    assert scored.code == 0, scored.err
    assert len(json.loads(scored.out)["probability"]) == 2
    refused = returned.project.root / "refused.json"
    refused.write_text('{"data": [{"no column has this name": 1}]}')
    ended = inside(returned.project, "score", str(refused))
    assert ended.code == 3
    assert "were refused" in ended.err


def test_doctor_in_a_job_finds_the_registry_the_live_release_and_its_own_rights(returned: Delivery, inside: Command) -> None:
    ended = inside(returned.project, "doctor", "--json", GITHUB_ACTIONS="true")
    lines = {line["name"]: line for line in json.loads(ended.out)}
    for name in ("Azure sign-in", "workspace", "roles", "registry", "live release", "data"):
        assert lines[name]["state"] == "works", lines[name]
    assert lines["live release"]["says"].rpartition(" ")[2].startswith("https://")


def test_requests_arrive_in_application_insights_and_are_shown_as_the_container_would(
    azure: Loopback, returned: Delivery, inside: Command
) -> None:
    again = inside(returned.project, "start", PUSHLINE_SERVING__ACCESS_LOG="1")
    assert again.code == 0, again.err
    azure.world.telemetry.clear()
    assert inside(returned.project, "score", str(returned.project.root / "examples" / "two-rows.json")).code == 0
    until = time.monotonic() + 60
    while not (rows := [row for row in azure.world.telemetry if row["Name"] == "POST /score"]) and time.monotonic() < until:
        time.sleep(0.1)
    assert [row["ResultCode"] for row in rows] == ["200"]
    live = inside(returned.project, "logs", "--since", "10m", "--json")
    lines = [json.loads(line) for line in live.out.splitlines()]
    [told] = [line for line in lines if line["fields"].get("path") == "/score"]  # once, although both tell of it
    azure.world.telemetry[:] = rows
    assert inside(returned.project, "start", PUSHLINE_AZURE__TELEMETRY="false").code == 0  # another life of the container
    azure.world.telemetry[:] = rows  # and Log Analytics lost its lines
    kept = inside(returned.project, "logs", "--since", "10m", "--json")
    [reported] = [line for line in map(json.loads, kept.out.splitlines()) if line["fields"].get("path") == "/score"]
    same = ("level", "event", "release")
    assert [reported[name] for name in same] == [told[name] for name in same]
    assert {**reported["fields"], "ms": 0} == {**told["fields"], "ms": 0}
    assert "telemetry" not in {line["event"] for line in map(json.loads, inside(returned.project, "logs", "--json").out.splitlines())}


def test_a_leftover_candidate_is_seen_and_discarded(azure: Loopback, returned: Delivery, inside: Command) -> None:
    del azure
    deployed = inside(returned.project, "deploy")
    assert deployed.code == 0, deployed.err
    assert status(inside, returned)["candidate"]["release"]["model_version"] == "2"  # type: ignore[index]
    assert inside(returned.project, "discard").code == 0
    assert status(inside, returned)["candidate"] is None


def test_the_role_of_our_own_holds_what_deliveries_do_and_nothing_else(azure: Loopback, returned: Delivery, inside: Command) -> None:
    """Two deliveries, a missed SLO, a rollback, and what a person does; none of them pushes by docker or reads why a build failed."""
    assert inside(returned.project, "stop").code == 0
    assert inside(returned.project, "start").code == 0
    used = azure.world.used[RELEASE] | {f"{roles.ACR}/push/write", f"{roles.ACR}/runs/listLogSasUrl/action"}
    own = roles.RELEASER.actions
    assert [action for action in own if not any(matches(each, (action,)) for each in used)] == []
    built_in = [role for role in (*roles.RELEASE, *roles.RELEASE_TO_APPS) if role.built_in]
    only = {action for action in used if not any(matches(action, role.actions) for role in built_in)}
    assert [action for action in only if not matches(action, own)] == []
    wide = [action for action in own if "*" in action]
    assert all(action.startswith(roles.ML) for action in wide), "the names of MLflow's actions are Azure's own, and not all documented"


def test_no_role_is_given_for_nothing(azure: Loopback, returned: Delivery) -> None:
    """Each brings an action that was used and that the identity has by no other one."""
    del returned
    for client, held in ((TRAINING, roles.TRAINING), (RELEASE, roles.RELEASE)):
        for role in held:
            others = [each for each in held if each is not role]
            brought = {
                action for action in azure.world.used[client] if brings(role, action) and not any(brings(each, action) for each in others)
            }
            # Azurite knows no roles, and Reader is what `doctor` looks at the workspace's parts with.
            assert brought or role in (roles.BLOBS, roles.READER), role.name


def secrets_of(azure: Loopback) -> dict[str, str]:
    """The kind of each secret that this Azure has given out or taken, by its value."""
    world = azure.world
    held = [json.loads(version["value"]) for versions in world.vault.values() for version in versions]
    return {
        **{key: "an endpoint key" for keys in held for key in keys.values()},
        **dict.fromkeys(world.directory.issued, "a token"),
        **dict.fromkeys(world.directory.assertions, "an assertion"),
        **dict.fromkeys(world.registry_tokens, "a token of the registry"),
        **{application.secret: "a client secret" for application in world.directory.applications.values()},
        world.directory.runner_token: "the runner's token",
        ANALYTICS_KEY: "the key of Log Analytics",
        STORAGE_KEY: "the key of the storage account",
        CONNECTION: "the connection to Application Insights",
    }


def test_no_secret_is_in_any_output_file_or_log(azure: Loopback, first: Delivery, second: Delivery, returned: Delivery) -> None:
    secrets = secrets_of(azure)
    assert len(set(secrets.values())) == 9
    outputs = "".join(ran.out + ran.err for delivery in (first, second, returned) for ran in delivery.ran.values())
    texts = {"what the commands printed": outputs.encode()}
    for root in (first.project.build, first.project.state, azure.world.folder / "groups", azure.world.folder / "jobs"):
        texts |= {str(file): file.read_bytes() for file in root.rglob("*") if file.is_file() and "volumes" not in file.parts}
    assert [(place, kind) for place, text in texts.items() for secret, kind in secrets.items() if secret.encode() in text] == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked at through /proc, which is Linux's")
def test_no_process_shows_a_secret_that_it_was_not_given(azure: Loopback, first: Delivery, second: Delivery) -> None:
    shown = first.shown | second.shown
    names = {each.name for each in shown}
    for expected in ("pushline train", "pushline promote", "pushline run", "pushline serve", "locust --locustfile", "caddy run"):
        assert any(name.startswith(expected) for name in names), names
    assert any(name.startswith("pushline.pipelines.steps") for name in names), names
    given = {
        # The job's own: what GitHub, or a person, puts there for it.
        **dict.fromkeys([f"pushline {stage}" for stage in (*first.ran, "run")], ("the runner's token", "a client secret")),
        "git": ("the runner's token", "a client secret"),  # Azure's client asks it for the revision, and hands on all variables
        "locust --locustfile": ("an endpoint key",),
        # Secure variables of the container, for its processes alone.
        "pushline serve": ("the connection to Application Insights", "an endpoint key"),
        "pushline.serving": ("the connection to Application Insights", "an endpoint key"),
    }
    assert telling(shown, secrets_of(azure), given) == []


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
