"""retrain.yml and publish.yml, executed: new data at a source becomes a pull request; what a job can't keep, it does not publish."""

import re
from pathlib import Path

import pytest

from data.file_server import file_server
from pushline.project import Project
from small_table import draw, pin
from workflows.repository import Repository

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def repository(repo: Path, tmp_path: Path) -> Repository:
    made = Repository(repo, tmp_path)
    del made.env["PUSHLINE_DATA"]  # the source alone has the data
    return made


def test_a_source_that_moved_becomes_a_pull_request_that_moves_the_lock_alone(repo: Path, repository: Repository) -> None:
    github = repository.github
    with file_server() as source:
        source.files["calls.csv"] = repository.data.read_bytes()
        pin(Project(github.origin), repository.data, url=source.url("calls.csv"))
        main = github.commit("A source")
        still = github.run("retrain.yml", "schedule", env=repository.env)
        assert still.code == 0, still.explain()
        assert still.jobs["look"].step("data propose") == "skipped"
        source.files["calls.csv"] = draw(repo, github.scratch / "moved.csv", seed=6).read_bytes()
        # What the sender says is never read: the source stands in data.lock on main.
        hostile = {"action": "new-data", "client_payload": {"url": "http://127.0.0.1:1/other.csv", "branch": "main"}}
        moved = github.run("retrain.yml", "repository_dispatch", payload=hostile, env=repository.env)
    assert moved.code == 0, moved.explain()
    assert moved.ran == ["look"]
    (pull,) = github.known["pulls"]
    assert re.fullmatch(r"data/[0-9a-f]{12}", pull["head"])
    assert "Drift against the profile" in pull["body"]
    assert github.git("diff", "--name-only", "main", pull["head"]) == "data.lock"
    assert github.git("rev-parse", "main") == main


def test_publish_is_refused_where_its_version_would_end_with_the_job(repository: Repository) -> None:
    run = repository.dispatch("publish.yml")
    assert run.code != 0
    assert any("can't publish for the target local" in message for level, message, _ in run.jobs["publish"].annotations if level == "error")
