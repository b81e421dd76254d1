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
from pushline.project import Project
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

    def ended(self, number: int, registry: Path, **about: Any) -> None:
        """A run ended and left `registry` (a packed one) as its artifact."""
        shutil.copytree(registry, self.store / str(number) / "registry")
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


def packed(runs: Runs, word: str, *, number: int = 59) -> Path:
    write_registry(runs.project, word)
    ran = runs.command("pack", number=number)
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


NOT_TAKEN: list[dict[str, Any]] = [
    {"event": "pull_request", "workflow": "checks.yml"},
    {"event": "pull_request"},
    {"branch": "topic"},
    {"fork": 2},
    {"conclusion": "failure"},
    {"conclusion": None},
    {"workflow": "checks.yml"},
]


def test_only_a_successful_delivery_of_the_default_branch_counts(runs: Runs, elsewhere: Project) -> None:
    """All of them are newer than the good one; the registry names whose it is."""
    runs.ended(10, packed(runs, "good"))
    for number, about in enumerate(NOT_TAKEN, 11):
        runs.ended(number, packed(runs, f"that of {about}"), **about)
    assert runs.command("restore", project=elsewhere).code == 0
    assert word_in(elsewhere) == "good"


def test_the_first_delivery_begins_without_a_registry(runs: Runs) -> None:
    ran = runs.command("restore")
    assert ran.code == 0, ran.err
    assert "first" in ran.out
    assert not (runs.project.state / "mlflow.db").exists()


def test_an_expired_registry_is_a_named_warning(runs: Runs) -> None:
    runs.ended(10, packed(runs, "ten"), expired=True)
    shutil.rmtree(runs.project.state)
    shutil.rmtree(runs.project.build)
    ran = runs.command("restore")
    assert ran.code == 0
    assert "::warning title=Registry::" in ran.err
    assert "expired" in ran.err


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
    runs.ended(10, packed(runs, "before"))
    runs.command("restore")
    runs.command("pack")  # this delivery is based on run 10
    shutil.copytree(runs.project.build, elsewhere.build, dirs_exist_ok=True)
    runs.ended(11, packed(runs, "meanwhile"))
    ran = runs.command("restore", project=elsewhere)
    assert ran.code == 0, ran.err
    assert "::notice title=Registry::" in ran.err
    assert word_in(elsewhere) == "meanwhile"
