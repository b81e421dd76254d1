"""deliver.yml and rollback.yml on the aci target: the same files, executed against the loopback Azure."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake.loopback import RELEASE, TRAINING, Loopback

from command import run_cli
from conftest import QUICK
from pushline.project import Project
from workflows.actions.checkout.checkout import OF_ITS_ENVIRONMENT
from workflows.github import Run
from workflows.repository import Repository

pytestmark = [pytest.mark.slow, pytest.mark.workflows, pytest.mark.timeout(900)]

VARIABLES = ("PUSHLINE_TARGET", "PUSHLINE_AZURE__SUBSCRIPTION", "PUSHLINE_AZURE__RESOURCE_GROUP", "PUSHLINE_AZURE__WORKSPACE")
GROUPS = "containerGroups/"


class Connected(Repository):
    """A repository that is connected to the loopback Azure: the variables that bootstrap sets, and an identity per environment."""

    def __init__(self, repo: Path, scratch: Path, azure: Loopback) -> None:
        super().__init__(repo, scratch)
        self.azure = azure
        jobs = {"training": azure.as_job(TRAINING), "production": azure.as_job(RELEASE)}
        own = ("AZURE_CLIENT_ID", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        self.identities = {name: {key: said[key] for key in own} for name, said in jobs.items()}
        self.variables = {
            **{name: jobs["training"][name] for name in (*VARIABLES, "AZURE_TENANT_ID")},
            "AZURE_CLIENT_ID": OF_ITS_ENVIRONMENT,
        }
        self.env = {**azure.reach(), **QUICK, "PUSHLINE_DATA": str(self.data)}

    def command(self, *arguments: str) -> dict[str, Any]:
        """What a command answers to a person who may release."""
        ran = run_cli(Project(self.github.origin), *arguments, env={**self.azure.as_job(RELEASE), **self.env})
        assert ran.code == 0, ran.err
        said: dict[str, Any] = json.loads(ran.out)
        return said

    def with_env(self, how: dict[str, Any]) -> dict[str, Any]:
        return {**super().with_env(how), "variables": self.variables, "identities": self.identities}


@pytest.fixture(scope="module")
def repository(azure: Loopback, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Connected:
    return Connected(repo, tmp_path_factory.mktemp("workflow"), azure)


@pytest.fixture(scope="module")
def first(repository: Connected) -> Run:
    run = repository.push()
    assert run.code == 0, run.explain()
    return run


def test_a_push_trains_on_azure_and_the_approved_release_goes_to_aci(azure: Loopback, repository: Connected, first: Run) -> None:
    assert first.ran == ["check-data", "train", "register", "evidence", "release"]
    assert "the registry lives in" in first.jobs["train"].text
    assert repository.result(first, "stage-release", "promote")["target"] == "aci"
    assert azure.world.invalid == []


def test_each_job_acts_as_the_identity_of_its_environment(azure: Loopback, first: Run) -> None:
    """Only jobs that have the right got the address to ask at, so what was done shows who may ask."""
    del first
    trained = {call.identity for call in azure.world.asked("PUT", "/jobs/")}
    released = {call.identity for call in azure.world.asked("PUT", GROUPS)}
    assert TRAINING in trained
    assert RELEASE not in trained
    assert RELEASE in released
    assert TRAINING not in released


def test_a_refused_approval_leaves_azure_as_it_is(azure: Loopback, repository: Connected, first: Run) -> None:
    before = len(azure.world.calls)
    run = repository.dispatch("deliver.yml", {"from": "deploy", "run": first.id}, refused="production")
    assert run.ran == ["evidence"], run.explain()
    assert {call.identity for call in azure.world.calls[before:] if call.identity} <= {TRAINING}
    assert not [call.path for call in azure.world.calls[before:] if call.method in ("PUT", "DELETE") and GROUPS in call.path]


def test_a_missed_slo_discards_the_candidate_and_the_release_before_goes_on_answering(
    azure: Loopback, repository: Connected, first: Run
) -> None:
    promoted = repository.result(first, "stage-release", "promote")
    run = repository.dispatch("deliver.yml", {"from": "deploy", "run": first.id}, env={"PUSHLINE_LOAD__P99_MS": "0.001"})
    assert run.code != 0
    release = run.jobs["release"]
    assert [release.step(name) for name in ("load-test", "promote", "discard")] == ["failure", "skipped", "success"]
    assert any(level == "error" and "promises not kept" in message for level, message, _ in release.annotations)
    assert repository.github.artifacts(run) == ["stage-release"]  # what failed is not what the next delivery begins with
    seen = repository.command("status", "--json")
    assert seen["candidate"] is None
    assert seen["live"]["release"]["id"] == promoted["release"]["id"]
    assert seen["live"]["ready"]


def test_watch_asks_what_needs_no_key_and_opens_no_issue(repository: Connected, first: Run) -> None:
    run = repository.github.run("watch.yml", "schedule", **repository.with_env({}))
    assert run.code == 0, run.explain()
    assert "The live release is well" in run.jobs["watch"].summary
    assert "this identity may not read them" in run.jobs["watch"].summary
    assert repository.github.known.get("issues", []) == []


def test_no_token_stands_in_an_artifact(azure: Loopback, repository: Connected, first: Run) -> None:
    texts = [file.read_bytes() for file in repository.github.store.rglob("*") if file.is_file()]
    assert texts
    directory = azure.world.directory
    tokens = {*directory.issued, *directory.assertions, directory.runner_token}
    assert len(tokens) > 5
    assert not [token[:6] for token in tokens for text in texts if token.encode() in text]
