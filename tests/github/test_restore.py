"""`pushline registry pack` and `restore`, with artifacts on a stand-in for GitHub."""

import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import Ran
from github.fake_gh import workflow_run
from pushline.github.runs import DELIVERING, Home, refusal
from pushline.project import Project
from signed import KEY, STRANGER, signed
from working_copy import REPO, copy_project

FAKE = Path(__file__).resolve().parent / "fake_gh.py"
Run = Callable[..., Ran]


class Runs:
    """Runs of workflows with their artifacts."""

    def __init__(self, folder: Path, run: Run, project: Project) -> None:
        self.run, self.project = run, project
        self.store, self.file = folder / "artifacts", folder / "gh.json"
        self.store.mkdir()
        self.about: dict[str, dict[str, Any]] = {}
        (folder / "bin").mkdir()
        script = folder / "bin" / "gh"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{FAKE}" "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        self.path = f"{script.parent}:{os.environ['PATH']}"

    def ended(self, number: int, registry: Path, *, kept_as: str = "registry", **about: Any) -> None:
        """A run ended and left `registry` (a packed one) as its artifact."""
        shutil.copytree(registry, self.store / str(number) / kept_as)
        defaults = {"workflow": "deliver.yml", "event": "push", "conclusion": "success", "branch": "main"}
        self.about[str(number)] = {**defaults, **about}

    def command(self, *arguments: str, project: Project | None = None, number: int = 59) -> Ran:
        state = {"repository": "example/bank", "private": False, "runs": self.about, "calls": []}
        self.file.write_text(json.dumps(state), encoding="utf-8")
        env = {"PATH": self.path, "FAKE_GH": str(self.file), "FAKE_GH_STORE": str(self.store), "GITHUB_REPOSITORY": "example/bank"}
        return self.run(project or self.project, "registry", *arguments, env={**env, "GITHUB_RUN_ID": str(number)})


@pytest.fixture
def runs(tmp_path: Path, run_pushline: Run, project: Project) -> Runs:
    return Runs(tmp_path, run_pushline, project)


def write_registry(project: Project, word: str) -> None:
    """A registry of one version, as far as travelling is concerned: tables with paths, files, the record of releases."""
    state = project.state
    model = state / "mlartifacts" / "run" / "artifacts" / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "word.txt").write_text(word, encoding="utf-8")
    (state / "mlflow.db").unlink(missing_ok=True)
    with sqlite3.connect(state / "mlflow.db") as database:
        database.execute("CREATE TABLE runs (artifact_uri TEXT)")
        database.execute("INSERT INTO runs VALUES (?)", (f"file://{model.parent}",))
    database.close()
    (state / "local-target.json").write_text(json.dumps({"model": f"{state}/releases/v1/model"}), encoding="utf-8")
    (state / "keys.json").write_text("secret", encoding="utf-8")


def packed(runs: Runs, word: str, *, number: int = 59, released: bool = True) -> Path:
    write_registry(runs.project, word)
    ran = runs.command("pack", *(["--released"] if released else []), number=number)
    assert ran.code == 0, ran.err
    return runs.project.build / "registry"


def word_in(project: Project) -> str:
    return (project.state / "mlartifacts" / "run" / "artifacts" / "model" / "word.txt").read_text(encoding="utf-8")


@pytest.fixture
def elsewhere(runs: Runs, tmp_path: Path) -> Project:
    """The same project on another machine, in another folder."""
    place = tmp_path / "another" / "place"
    place.mkdir(parents=True)
    return copy_project(REPO, place)


def test_the_registry_follows_to_another_machine_with_its_paths(runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "ten"))
    ran = runs.command("restore", project=elsewhere)
    assert ran.code == 0, ran.err
    assert word_in(elsewhere) == "ten"
    with sqlite3.connect(elsewhere.state / "mlflow.db") as database:
        (uri,) = database.execute("SELECT artifact_uri FROM runs").fetchone()
    database.close()
    assert uri == f"file://{elsewhere.state}/mlartifacts/run/artifacts"
    assert str(elsewhere.state) in (elsewhere.state / "local-target.json").read_text(encoding="utf-8")


def test_keys_do_not_travel(runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "ten"))
    runs.command("restore", project=elsewhere)
    assert not (elsewhere.state / "keys.json").exists()


NOT_TAKEN: dict[str, dict[str, Any]] = {
    "a pull request's run of its own deliver.yml": {"event": "pull_request"},
    "a pull request's checks": {"event": "pull_request", "workflow": "checks.yml"},
    "a run with the rights of the repository for a pull request": {"event": "pull_request_target"},
    "another branch": {"branch": "topic"},
    "a fork whose branch is called main": {"fork": 2},
    "a fork's pull request from its main": {"fork": 2, "event": "pull_request"},
    "another workflow": {"workflow": "checks.yml"},
    "one that does not deliver": {"workflow": "watch.yml"},
}


def test_what_strangers_and_other_branches_leave_is_never_taken(runs: Runs, elsewhere: Project) -> None:
    """All of them are newer than the good one; the registry names whose it is."""
    runs.ended(10, packed(runs, "good", number=10))
    for number, (whose, about) in enumerate(NOT_TAKEN.items(), 11):
        runs.ended(number, packed(runs, whose, number=number), **about)
    assert runs.command("restore", project=elsewhere).code == 0
    assert word_in(elsewhere) == "good"


@pytest.mark.slow
def test_any_number_of_strangers_artifacts_hides_no_registry(runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "good", number=10))
    for number in range(1000, 1250):
        runs.about[str(number)] = {
            "workflow": "deliver.yml",
            "event": "pull_request",
            "conclusion": "success",
            "branch": "main",
            "empty": True,
        }
        runs.about[str(number)]["fork"] = 2 if number % 2 else 22
    ran = runs.command("restore", project=elsewhere)
    assert ran.code == 0, ran.err
    assert word_in(elsewhere) == "good"


def test_a_release_is_on_record_however_its_run_ended(runs: Runs, elsewhere: Project) -> None:
    """Its registry is kept after the promotion; a report that could not be kept after that makes the run red."""
    runs.ended(10, packed(runs, "before", number=10))
    runs.ended(11, packed(runs, "live", number=11), conclusion="failure")
    assert runs.command("restore", project=elsewhere).code == 0
    assert word_in(elsewhere) == "live"


@pytest.mark.parametrize("conclusion", ["failure", *(pytest.param(other, marks=pytest.mark.slow) for other in ("cancelled", None))])
def test_a_challenger_of_a_run_that_did_not_end_well_is_not_taken(conclusion: str | None, runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "released", number=10))
    runs.command("restore", number=11)
    runs.ended(11, packed(runs, "challenger", number=11, released=False), kept_as="challenger", conclusion=conclusion)
    assert runs.command("restore", project=elsewhere).code == 0
    assert word_in(elsewhere) == "released"


def test_a_rejected_challenger_that_continues_the_last_release_is_taken_up(runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "released", number=10))
    runs.command("restore", number=11)
    runs.ended(11, packed(runs, "rejected", number=11, released=False), kept_as="challenger")
    assert runs.command("restore", project=elsewhere).code == 0
    assert word_in(elsewhere) == "rejected"


@pytest.mark.parametrize("workflow", ["deliver.yml", pytest.param("rollback.yml", marks=pytest.mark.slow)])
def test_a_challenger_made_beside_a_release_or_rollback_hides_it_not(workflow: str, runs: Runs, elsewhere: Project) -> None:
    """Two deliveries begin from run 10; one ends without a release after the other has released, and its registry is the newer one."""
    runs.ended(10, packed(runs, "before", number=10))
    runs.command("restore", number=12)
    beside = shutil.copytree(packed(runs, "beside", number=12, released=False), elsewhere.root / "beside")
    runs.ended(11, packed(runs, "released meanwhile", number=11), workflow=workflow, event="workflow_dispatch")
    runs.ended(12, beside, kept_as="challenger")
    shutil.rmtree(elsewhere.build, ignore_errors=True)
    assert runs.command("restore", project=elsewhere).code == 0
    assert word_in(elsewhere) == "released meanwhile"


@pytest.mark.parametrize("gone", ["expired", pytest.param("deleted", marks=pytest.mark.slow)])
def test_a_registry_that_is_gone_is_not_taken_for_a_first_one(gone: str, runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "ten", number=10), **{gone: True})
    ran = runs.command("restore", project=elsewhere)
    assert ran.code == 4
    assert "run 10" in ran.err.lower()
    assert "registry: begin" in ran.err
    begun = runs.command("restore", "--if-gone", "begin", project=elsewhere)
    assert begun.code == 0
    assert "::warning title=Registry::" in begun.err
    assert not (elsewhere.state / "mlflow.db").exists()


def test_the_first_delivery_begins_without_a_registry(runs: Runs) -> None:
    ran = runs.command("restore")
    assert ran.code == 0, ran.err
    assert "first" in ran.out
    assert not (runs.project.state / "mlflow.db").exists()


def test_an_artifact_that_changed_on_its_way_is_refused(runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "ten"), tampered=True)
    ran = runs.command("restore", project=elsewhere)
    assert ran.code == 4
    assert "changed on its way" in ran.err
    assert not (elsewhere.state / "mlflow.db").exists()


def test_an_archive_that_is_not_the_packed_one_is_refused_and_the_registry_stays(runs: Runs) -> None:
    place = packed(runs, "mine")
    with (place / "registry.tar.gz").open("ab") as stream:
        stream.write(b"x")
    ran = runs.command("restore")
    assert ran.code == 4
    assert "sha256" in ran.err
    assert word_in(runs.project) == "mine"


def test_a_job_takes_up_the_registry_of_its_own_delivery(runs: Runs) -> None:
    packed(runs, "of this delivery")
    write_registry(runs.project, "changed afterwards")
    assert runs.command("restore").code == 0
    assert word_in(runs.project) == "of this delivery"


def test_a_delivery_that_ended_meanwhile_goes_before(runs: Runs, elsewhere: Project) -> None:
    runs.ended(10, packed(runs, "before", number=10))
    runs.command("restore")
    runs.command("pack")  # this delivery is based on run 10
    shutil.copytree(runs.project.build, elsewhere.build, dirs_exist_ok=True)
    runs.ended(11, packed(runs, "meanwhile", number=11))
    ran = runs.command("restore", project=elsewhere)
    assert ran.code == 0, ran.err
    assert "::notice title=Registry::" in ran.err
    assert word_in(elsewhere) == "meanwhile"


def test_a_rerun_from_the_last_run_goes_on_with_its_registry_to_the_end(runs: Runs, elsewhere: Project) -> None:
    """The run named and the last one are the same: nothing was delivered meanwhile, in this job and in the next."""
    runs.ended(10, packed(runs, "before", number=10))
    runs.command("restore", number=11)
    runs.ended(11, packed(runs, "rejected", number=11, released=False), kept_as="challenger")
    shutil.copytree(runs.project.build, elsewhere.build, dirs_exist_ok=True)  # from: register, run: 11
    for job, word in (("register", "rejected"), ("release", "decided again")):
        ran = runs.command("restore", project=elsewhere)
        assert (ran.code, "delivered meanwhile" in ran.err) == (0, False), ran.err
        assert word_in(elsewhere) == word, job
        write_registry(elsewhere, "decided again")
        assert runs.command("pack", project=elsewhere).code == 0


WRONG_RUNS = {
    **NOT_TAKEN,
    "a rollback, which has no results": {"workflow": "rollback.yml", "event": "workflow_dispatch"},
}


def test_a_run_named_by_hand_is_refused_where_it_is_one_of_these(runs: Runs) -> None:
    good = {"workflow": "deliver.yml", "event": "push", "conclusion": "success", "branch": "main"}
    state = {"repository": "example/bank", "runs": {"10": good}}
    here = Home(name="example/bank", id=22, default_branch="main")
    assert refusal(workflow_run(state, "GET", None, "10"), here, DELIVERING) == ""
    for whose, about in WRONG_RUNS.items():
        state["runs"] = {"10": {**good, **about}}
        assert refusal(workflow_run(state, "GET", None, "10"), here, DELIVERING), whose
    runs.about["10"] = {**good, "fork": 2}
    ran = runs.command("check-run", "10")
    assert ran.code == 1
    assert "The results of run 10 can't be used." in ran.err
    assert "stranger/bank" in ran.err


@pytest.mark.parametrize("number", ["99", "10/../../../stranger/bank/actions/runs/1"])
def test_a_run_that_is_none_is_refused(number: str, runs: Runs) -> None:
    assert runs.command("check-run", number).code == 1


def test_a_delivery_of_the_default_branch_may_be_named_also_where_its_release_failed(runs: Runs) -> None:
    runs.about["10"] = {"workflow": "retrain.yml", "event": "workflow_dispatch", "conclusion": "failure", "branch": "main"}
    ran = runs.command("check-run", "10")
    assert ran.code == 0, ran.err
    assert "/actions/runs/10" in ran.out


@pytest.mark.parametrize(
    ("tampered", "told"), [(None, ""), ("file", "word.txt is not the file that was signed"), ("signer", "signed with the key")]
)
def test_a_registry_with_a_model_that_nobody_trusted_has_signed_is_never_taken(
    runs: Runs, elsewhere: Project, tampered: str | None, told: str
) -> None:
    """However well its run, its digest and its branch look: whoever could exchange the artifact can't sign."""
    write_registry(runs.project, "ten")
    model = signed(runs.project.state / "mlartifacts" / "run" / "artifacts" / "model", STRANGER if tampered == "signer" else KEY)
    if tampered == "file":
        (model / "word.txt").write_text("other", encoding="utf-8")
    assert runs.command("pack", "--released").code == 0
    runs.ended(10, runs.project.build / "registry")
    ran = runs.command("restore", project=elsewhere)
    if tampered is None:
        assert ran.code == 0, ran.err
        return
    assert ran.code == 4
    assert told in ran.err
    assert not (elsewhere.state / "mlflow.db").exists()
