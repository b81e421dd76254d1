"""Two deliveries, a rotation and a rollback on the containerapps target, through the real commands, while a client asks all the time."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fake.loopback import RELEASE, Loopback

from command import Ran
from conftest import Pushline, project_with, registered
from pushline.project import Project
from pushline.results import LoadTestResult, PromoteResult, SmokeResult, load
from pushline.serving.client import Client
from pushline.serving.model_folder import read_golden

pytestmark = pytest.mark.slow
NAME = "apps-model"
SETTINGS = {
    "PUSHLINE_TARGET": "containerapps",
    "PUSHLINE_MODEL_NAME": NAME,
    "PUSHLINE_SERVING__ACCESS_LOG": "1",
    "PUSHLINE_PROMOTE__REQUESTS": "10",
    "PUSHLINE_PROMOTE__SECONDS": "1",
    "PUSHLINE_PROMOTE__WAIT": "4",
    "PUSHLINE_PROMOTE__SLOWER": "1000",  # this machine is busy with other tests
}


@dataclass
class Steady:
    """A client that asks the live name all the time, with the key that it had at the beginning."""

    url: str
    key: str
    row: object
    seen: Counter[tuple[int, str]] = field(default_factory=Counter)
    ended: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        client = Client(self.url, timeout_s=30)
        while not self.ended.is_set():
            answer = client.score([self.row], self.key)
            self.seen[answer.status, answer.headers.get("x-release", answer.failure)] += 1
            time.sleep(0.05)


@dataclass
class Delivered:
    project: Project
    ran: dict[str, Ran]
    seen: Counter[tuple[int, str]]


@pytest.fixture(scope="module")
def delivered(
    azure: Loopback, repo: Path, pinned: Path, model: Path, pushline: Pushline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Delivered]:
    """The second of two deliveries, a rotation and a rollback, each while clients ask."""
    project = project_with(repo, tmp_path_factory.mktemp("apps") / "project", pinned)
    registered(azure, project, model, NAME, versions=2)
    made = Delivered(project, {}, Counter())

    def run(name: str, *arguments: str) -> None:
        made.ran[name] = pushline(project, *arguments, env={**azure.as_job(RELEASE), **SETTINGS})
        assert made.ran[name].code == 0, f"{name}: {made.ran[name].err}"

    for stage in (("deploy", "--version", "1"), ("smoke",), ("load-test",), ("promote",)):
        run(f"first {stage[0]}", *stage)
    first = load(project.build, PromoteResult)
    key = json.loads(azure.world.vault[f"pushline-{NAME}-keys"][-1]["value"])["primary"]
    client = Steady(first.url, key, read_golden(model)[0].row, made.seen)
    with pytest.MonkeyPatch.context() as here:
        for name, value in azure.reach().items():
            here.setenv(name, value)
        threads = [threading.Thread(target=client.ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for stage in (("deploy", "--version", "2"), ("smoke",), ("load-test",), ("promote",), ("keys", "rotate"), ("rollback",)):
                run(stage[0], *stage)
        finally:
            client.ended.set()
            for thread in threads:
                thread.join()
    yield made
    azure.world.apps.pop(NAME).end()


def test_each_delivery_was_smoked_loaded_and_promoted_on_the_apps_own_name(delivered: Delivered) -> None:
    build = delivered.project.build
    promoted = load(build, PromoteResult)
    assert load(build, SmokeResult).passed
    assert load(build, LoadTestResult).passed
    assert promoted.target == "containerapps"
    assert promoted.url.startswith(f"https://{NAME}.")
    assert promoted.release.model_version == "2"


def test_no_request_is_lost_by_promotion_rotation_or_rollback(delivered: Delivered) -> None:
    assert {status for status, _ in delivered.seen} == {200}, delivered.seen
    assert len({release for _, release in delivered.seen}) == 2, "both releases were asked"


def test_the_promotion_went_by_steps_of_live_requests(delivered: Delivered) -> None:
    steps = load(delivered.project.build, PromoteResult).steps
    assert [step.share for step in steps] == [0.01, 0.1, 0.5]
    assert steps[-1].requests > 0
    assert all(step.failures == 0 and not step.cause for step in steps)


def test_the_rollback_brought_the_first_release_back(delivered: Delivered, azure: Loopback, pushline: Pushline) -> None:
    seen = pushline(delivered.project, "status", "--json", env={**azure.as_job(RELEASE), **SETTINGS})
    told = json.loads(seen.out)
    assert told["live"]["release"]["model_version"] == "1"
    assert (told["candidate"], told["previous"], told["notes"]) == (None, None, [])


def test_logs_tell_of_requests_and_of_replicas_that_have_ended(delivered: Delivered, azure: Loopback, pushline: Pushline) -> None:
    seen = pushline(delivered.project, "logs", "--since", "10m", "--json", env={**azure.as_job(RELEASE), **SETTINGS})
    entries = [json.loads(line) for line in seen.out.splitlines()]
    assert {"started", "ready", "request"} <= {entry["event"] for entry in entries}
    assert {entry["release"][:2] for entry in entries if entry["event"] == "request"} == {"v1", "v2"}


def test_the_live_release_is_started_again_with_other_settings_and_keeps_its_image(
    delivered: Delivered, azure: Loopback, pushline: Pushline
) -> None:
    images = {each.template["containers"][0]["image"] for each in azure.world.apps[NAME].revisions.values() if each.active}
    more = {**azure.as_job(RELEASE), **SETTINGS, "PUSHLINE_AZURE__MIN_REPLICAS": "0", "PUSHLINE_AZURE__MAX_REPLICAS": "7"}
    assert pushline(delivered.project, "start", env=more).code == 0
    [live] = [each for each in azure.world.apps[NAME].revisions.values() if each.active]
    assert {live.template["containers"][0]["image"]} == images
    assert {name: live.template["scale"][name] for name in ("minReplicas", "maxReplicas")} == {"minReplicas": 0, "maxReplicas": 7}


@pytest.mark.usefixtures("official", "delivered")
def test_every_body_was_valid_against_the_official_schema(azure: Loopback) -> None:
    assert azure.world.asked("PUT", "containerApps/")
    assert azure.world.asked("PATCH", "containerApps/")
    assert azure.world.invalid == []
    assert azure.world.unknown == []


@pytest.mark.usefixtures("delivered")
def test_no_key_is_in_any_body_that_the_resource_manager_got(azure: Loopback) -> None:
    keys = {key for version in azure.world.vault[f"pushline-{NAME}-keys"] for key in json.loads(version["value"]).values()}
    sent = b"".join(call.body for call in azure.world.asked("PATCH", "containerApps/") + azure.world.asked("PUT", "containerApps/"))
    assert keys
    assert [key for key in keys if key.encode() in sent] == []
