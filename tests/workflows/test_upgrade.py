"""upgrade.yml, executed in a repository that the real engine made: a newer release becomes a pull request, after tests and rehearsal."""

import json
import shutil
from pathlib import Path

import pytest

from pushline.template.answers import Engine, Record
from pushline.template.render import render
from upgrade.releases import first, release
from workflows.github import GitHub
from workflows.repository import INPUTS, SMALL, as_act_can_run_it, need_act
from working_copy import git

pytestmark = [pytest.mark.workflows, pytest.mark.slow, pytest.mark.timeout(900)]

CHANGELOG = "# Changelog\n\n## 0.2.0\n\n- The service starts faster.\n"


@pytest.fixture
def github(tmp_path: Path) -> GitHub:
    """Its owner has a test of their own, and environments that are set up already."""
    need_act()
    root = tmp_path / "origin"
    pin = Engine(version="", sha256="", repository="example/bank")
    for path, content in render(Record(engine=pin), first()).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    shutil.rmtree(root / "tests", ignore_errors=True)
    (root / "tests").mkdir()
    (root / "tests" / "test_mine.py").write_text("def test_mine() -> None:\n    assert True\n", encoding="utf-8")
    (root / "scripts" / "setup.py").write_text('print("It is set up.")\n', encoding="utf-8")
    as_act_can_run_it(root)
    git("init", "-q", cwd=root)
    made = GitHub(root, tmp_path)
    made.commit("Start")
    return made


def upgraded(github: GitHub, wheel: Path) -> None:
    released = {"releases": [{"tag_name": "v0.2.0", "files": [str(wheel)]}], "pulls": []}
    github.state.write_text(json.dumps({**github.known, **released}), encoding="utf-8")


def test_a_newer_release_becomes_a_pull_request_once_tests_and_rehearsal_have_passed_on_it(github: GitHub, tmp_path: Path) -> None:
    wheel = release("0.2.0", {"template/files/load/locustfile.py": lambda text: f"{text}\n# Faster.\n"}, tmp_path / "engines", CHANGELOG)
    upgraded(github, wheel)
    env = {**SMALL, "MAKEFLAGS": "-- SIDE_BY_SIDE=-q"}
    variables = {"PUSHLINE_REHEARSAL_BUDGET": "1s"}
    run = github.run("upgrade.yml", "workflow_dispatch", payload={"inputs": INPUTS["upgrade.yml"]}, env=env, variables=variables)
    assert run.code == 0, run.explain()
    steps = [name for name, result in run.jobs["upgrade"].steps if result == "success"]
    assert steps[-4:] == ["upgrade", "test", "rehearsal", "propose"]
    (pull,) = github.known["pulls"]
    assert "The service starts faster." in pull["body"]
    assert "The service starts faster." in run.jobs["upgrade"].summary
    files = set(github.git("diff", "--name-only", "main", pull["head"]).splitlines())
    assert {"load/locustfile.py", "requirements/dev.txt", "template.json", "vendor/pushline-0.2.0-py3-none-any.whl"} <= files
    assert "tests/test_mine.py" not in files
    assert "scripts/setup.py" not in files


def test_where_nothing_is_newer_nothing_is_run_and_nothing_proposed(github: GitHub) -> None:
    wheel = github.scratch / f"pushline-{first().version}-py3-none-any.whl"
    wheel.write_bytes(first().content)
    upgraded(github, wheel)
    run = github.run("upgrade.yml", "schedule", env=SMALL)
    assert run.code == 0, run.explain()
    assert [run.jobs["upgrade"].step(name) for name in ("upgrade", "test", "propose")] == ["success", "skipped", "skipped"]
    assert github.known["pulls"] == []


def test_in_the_engines_own_repository_it_does_nothing(repo: Path, tmp_path: Path) -> None:
    from workflows.repository import Repository

    run = Repository(repo, tmp_path).github.run("upgrade.yml", "schedule", env=SMALL)
    assert run.code == 0, run.explain()
    assert run.jobs["upgrade"].step("test") == "skipped"
    assert "no thin repository" in run.jobs["upgrade"].text
