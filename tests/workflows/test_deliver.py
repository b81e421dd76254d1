"""deliver.yml and rollback.yml, executed with their real stages on a small budget."""

import json
from pathlib import Path
from typing import Any

import pytest

from command import QUICK
from workflows.github import GitHub, Run
from working_copy import copy_project, find_real_data

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(1200)]

SMALL = {**QUICK, "PUSHLINE_TRAINING__LOCAL_BUDGET": "2s", "PUSHLINE_LOAD__SECONDS": "2"}


class Repository:
    """A repository whose main was pushed once and delivered."""

    def __init__(self, github: GitHub) -> None:
        self.github = github
        data = find_real_data()
        if data is None:
            pytest.skip("the Bank Marketing file is not on this machine: set PUSHLINE_DATA to it")
        self.env = {**SMALL, "PUSHLINE_DATA": str(data)}
        self.first = self.github.run("deliver.yml", "push", payload={"ref": "refs/heads/main"}, env=self.env)

    def dispatch(self, workflow: str = "deliver.yml", *, job: str | None = None, stop_when: str | None = None, **said: Any) -> Run:
        env = {**self.env, **said.pop("env", {})}
        inputs = {"reason": "test", "from": "check-data", "run": "", "version": "", "target": "", "budget": "", **said}
        payload = {"inputs": inputs if workflow == "deliver.yml" else {"reason": "test"}, "ref": "refs/heads/main"}
        return self.github.run(workflow, "workflow_dispatch", payload=payload, env=env, job=job, stop_when=stop_when)

    def result(self, run: Run, artifact: str, stage: str) -> dict[str, Any]:
        file = self.github.store / run.id / artifact / stage / "result.json"
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def artifacts(self, run: Run) -> list[str]:
        place = self.github.store / run.id
        return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []


@pytest.fixture(scope="module")
def repository(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    scratch = tmp_path_factory.mktemp("github")
    (scratch / "origin").mkdir()
    copy_project(repo, scratch / "origin", with_tests=True)
    return Repository(GitHub(scratch / "origin", scratch))


def test_a_push_goes_through_all_jobs_in_their_order(repository: Repository) -> None:
    run = repository.first
    assert run.code == 0, run.explain()
    assert run.ran == ["check-data", "train", "register", "evidence", "release"]
    names = [name for name, _ in run.jobs["release"].steps]
    order = [name for name in names if name in ("deploy", "smoke", "load-test", "promote")]
    assert order == ["deploy", "smoke", "load-test", "promote"]
    assert run.jobs["release"].step("discard") == "skipped"


def test_each_job_takes_what_the_one_before_left(repository: Repository) -> None:
    assert repository.artifacts(repository.first) == ["registry", "stage-check-data", "stage-register", "stage-release", "stage-train"]
    promoted = repository.result(repository.first, "stage-release", "promote")
    assert promoted["release"]["model_version"] == "1"


def test_no_row_of_data_travels(repository: Repository) -> None:
    kept = [file for file in (repository.github.store / repository.first.id).rglob("*") if file.is_file()]
    assert kept
    assert not [file.name for file in kept if file.suffix in (".parquet", ".csv")]


def test_no_key_travels(repository: Repository) -> None:
    kept = [file for file in (repository.github.store / repository.first.id).rglob("*") if file.is_file()]
    assert not [file for file in kept if file.name == "keys.json" or b'"primary"' in file.read_bytes()]


def test_every_job_writes_its_summary_and_the_approver_sees_the_evidence(repository: Repository) -> None:
    jobs = repository.first.jobs
    assert "check-data" in jobs["check-data"].summary
    evidence = jobs["evidence"].summary
    for wanted in ("mermaid", "average precision", "version 1"):
        assert wanted in evidence


def test_an_approval_that_never_comes_deploys_nothing(repository: Repository) -> None:
    run = repository.dispatch(job="evidence", **{"from": "deploy", "run": repository.first.id})
    assert run.code == 0, run.explain()
    assert run.ran == ["evidence"]
    assert repository.artifacts(run) == []
