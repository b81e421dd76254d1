"""Published pipelines over plain HTTP, with real processes and real kills."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from command import Ran, clean_environment, run_cli
from pipelines.service.service_process import Service, kill, wait_until, words_told
from pushline.pipelines.service.published import PublishedPipelines
from pushline.project import Project
from pushline.serving.keys import make_keys, read_keys
from pushline.serving.rights import HOLDER_OF

pytestmark = pytest.mark.slow
PIPELINE = """
type: pipeline
display_name: telling
description: Tells what it was given.
inputs:
  text: hello
  count: 3
  loud: false
outputs:
  last: {type: uri_folder}
jobs:
  tell:
    type: command
    component: ./components/tell.yml
    inputs: {text: "${{parent.inputs.text}}", count: "${{parent.inputs.count}}", loud: "${{parent.inputs.loud}}"}
    outputs: {told: "${{parent.outputs.last}}"}
"""


@pytest.fixture
def offering(project: Project, telling: Path) -> Project:
    """A project with the telling pipeline, its code within the checkout."""
    (project.pipelines / "telling.yml").write_text(PIPELINE)
    shutil.copy(telling.parent / "components" / "tell.yml", project.pipelines / "components" / "tell.yml")
    shutil.copytree(telling.parent / "code", project.pipelines / "code")
    PublishedPipelines(project).publish("telling")
    return project


@pytest.fixture
def serving(offering: Project, tmp_path: Path) -> Iterator[Service]:
    service = Service(offering, MARK=str(tmp_path / "mark"), PUSHLINE_PIPELINES__AT_ONCE="3").start()
    yield service
    if service.process is not None and service.process.poll() is None:
        service.end()


def test_a_run_is_started_followed_and_told_by_plain_http(serving: Service) -> None:
    status, listed = serving.ask("GET", "/pipelines")
    assert status == 200
    assert [(one["name"], one["version"], one["status"], one["default"]) for one in listed["pipelines"]] == [("telling", 1, "active", True)]
    status, described = serving.ask("GET", "/pipelines/telling")
    assert {one["name"]: (one["type"], one["default"]) for one in described["inputs"]} == {
        "text": ("string", "hello"),
        "count": ("integer", 3),
        "loud": ("boolean", False),
    }
    run = serving.ended(serving.begun("telling", {"count": 5}))
    assert run["state"] == "succeeded"
    assert run["inputs"] == {"count": 5}
    assert words_told(run)[:4] == ["hello", "--share=0.5", "--count", "5"]
    status, log = serving.ask("GET", f"/runs/{run['id']}/logs")
    assert "tell: done in" in log["text"]
    assert log["ended"]
    assert serving.ask("GET", f"/runs/{run['id']}/logs?from={log['next']}")[1]["text"] == ""
    assert [one["id"] for one in serving.ask("GET", "/runs")[1]["runs"]] == [run["id"]]


@pytest.mark.parametrize("value", ["$(touch owned)", "a 'b' \"c\" `d`", "two\nlines", "--flag", "é ☃"])
def test_a_value_from_outside_is_one_argument_whatever_it_holds(value: str, serving: Service, tmp_path: Path) -> None:
    run = serving.ended(serving.begun("telling", {"text": value}))
    assert words_told(run)[0] == value
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/pipelines/absent", None, 404),
        ("GET", "/pipelines/telling/versions/9", None, 404),
        ("GET", "/pipelines/..%2f..", None, 404),
        ("GET", "/runs/absent", None, 404),
        ("GET", "/runs/../../keys.json", None, 404),
        ("GET", "/nothing", None, 404),
        ("GET", "/pipelines/telling/runs", None, 405),
        ("POST", "/pipelines", {}, 405),
        ("POST", "/pipelines/telling/runs", {"inputs": {"weather": 1}}, 422),
        ("POST", "/pipelines/telling/runs", {"inputs": {"count": "many"}}, 422),
        ("POST", "/pipelines/telling/runs", {"inputs": {"count": 0}}, 422),
        ("POST", "/pipelines/telling/runs", {"inputs": {"count": [1]}}, 422),
        ("POST", "/pipelines/telling/runs", {"inputs": {"loud": "maybe"}}, 422),
        ("POST", "/pipelines/telling/runs", {"inputs": {"text": "a\0b"}}, 422),
        ("POST", "/pipelines/telling/runs", {"surprise": 1}, 422),
        ("POST", "/pipelines/telling/runs", {"version": 7}, 404),
        ("POST", "/pipelines/telling/runs", b"{", 400),
    ],
)
def test_a_wrong_request_is_refused_and_starts_nothing(method: str, path: str, body: Any, status: int, refusing: Service) -> None:
    assert refusing.ask(method, path, body)[0] == status
    assert refusing.ask("GET", "/runs")[1]["runs"] == []


@pytest.fixture(scope="module")
def refusing(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all requests that change nothing."""
    from pipelines.conftest import COMPONENT, STEP
    from working_copy import copy_project

    folder = tmp_path_factory.mktemp("refusing") / "project"
    folder.mkdir()
    project = copy_project(repo, folder)
    (project.pipelines / "telling.yml").write_text(PIPELINE)
    (project.pipelines / "components" / "tell.yml").write_text(COMPONENT)
    (project.pipelines / "code").mkdir()
    (project.pipelines / "code" / "step.py").write_text(STEP)
    PublishedPipelines(project).publish("telling")
    service = Service(project).start()
    yield service
    service.end()


@pytest.mark.parametrize("path", ["/pipelines", "/pipelines/telling", "/runs", "/runs/any", "/runs/any/logs"])
def test_nothing_is_said_without_a_key(path: str, refusing: Service) -> None:
    assert refusing.ask("GET", path, key=None)[0] == 401
    assert refusing.ask("GET", path, key="wrong" * 8)[0] == 401


@pytest.mark.parametrize("route", HOLDER_OF)
def test_a_key_opens_what_the_table_says_and_nothing_else(route: str, refusing: Service) -> None:
    """The keys of the scoring service lie beside this one's and open nothing here."""
    method, template = route.split()
    path = template.format(name="absent", version=1, run="absent")
    scoring = make_keys(refusing.project.state / "keys.json")
    own = read_keys(refusing.project.state / "pipelines-keys.json")
    holders: dict[str | None, str] = {None: "anyone", scoring.primary: "scoring", scoring.secondary: "scoring"}
    for key, holder in (holders | {own.primary: "pipelines", own.secondary: "pipelines"}).items():
        status = refusing.status(method, path, key=key)
        if route in ("GET /readyz", "POST /score", "GET /metrics"):
            assert status == 404
        else:
            assert (status == 401) == (HOLDER_OF[route] not in ("anyone", holder)), (route, holder)


def test_the_api_document_describes_every_address(refusing: Service) -> None:
    status, document = refusing.ask("GET", "/openapi.json", key=None)
    assert status == 200
    assert {f"{method} {path}" for path, item in document["paths"].items() for method in item} == {
        "get /pipelines",
        "get /pipelines/{name}",
        "get /pipelines/{name}/versions/{version}",
        "post /pipelines/{name}/runs",
        "get /runs",
        "get /runs/{run}",
        "get /runs/{run}/logs",
        "post /runs/{run}/cancel",
        "get /healthz",
    }


def test_the_service_answers_as_its_document_says(refusing: Service, tmp_path: Path) -> None:
    host, port = refusing.address
    arguments = ["run", f"http://{host}:{port}/openapi.json", "--header", f"Authorization: Bearer {refusing.key}", "--max-examples", "12"]
    quiet = [
        "--exclude-operation-id",
        "startRun",
        "--generation-database",
        "none",
        "--seed",
        "1",
        "--no-color",
        "--phases",
        "coverage,fuzzing",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *arguments, *quiet],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "8 selected / 9 total" in done.stdout, done.stdout


def test_a_path_outside_the_project_and_its_data_is_refused(offering: Project, tmp_path: Path) -> None:
    text = (offering.pipelines / "components" / "tell.yml").read_text()
    (offering.pipelines / "components" / "tell.yml").write_text(text)
    pipeline = offering.pipelines / "telling.yml"
    pipeline.write_text(
        pipeline.read_text()
        .replace("  loud: false\n", "  loud: false\n  source: {type: uri_folder, path: source}\n")
        .replace('count: "${{parent.inputs.count}}", ', 'count: "${{parent.inputs.count}}", before: "${{parent.inputs.source}}", ')
    )
    PublishedPipelines(offering).publish("telling")
    near, given, other = offering.root / "near", tmp_path / "given", tmp_path / "other"
    for folder in (near, given, other):
        folder.mkdir()
    (near / "link").symlink_to(other)
    service = Service(offering, PUSHLINE_PIPELINES__FOLDER=str(given)).start()
    try:
        for place in (other, near / "link", near / ".." / ".." / "other", offering.state, offering.root / ".git", Path("/etc"), Path("/")):
            status, problem = service.ask("POST", "/pipelines/telling/runs", {"inputs": {"source": str(place)}})
            assert status == 422, (place, problem)
        for place in (near, given):
            run = service.ended(service.begun("telling", {"source": str(place)}))
            assert run["state"] == "succeeded"
            assert words_told(run)[-1] == str(place)
    finally:
        service.end()


def test_two_runs_at_once_do_not_mix_and_one_too_many_is_told_so(serving: Service, tmp_path: Path) -> None:
    first, second = (serving.begun("telling", {"text": "hang", "count": count}) for count in (1, 2))
    third = serving.begun("telling", {"text": "third"})
    assert words_told(serving.ended(third))[0] == "third"
    fourth = serving.begun("telling", {"text": "hang"})
    status, problem = serving.ask("POST", "/pipelines/telling/runs", {})
    assert status == 503
    assert "3 runs" in problem["detail"]
    for run in (first, second, fourth):
        serving.ask("POST", f"/runs/{run}/cancel")
    assert {serving.ended(run)["state"] for run in (first, second, fourth)} == {"cancelled"}
    assert serving.run(third)["state"] == "succeeded"


def hanging(serving: Service, tmp_path: Path) -> tuple[str, list[psutil.Process]]:
    """A run in the middle of its step, and all its processes."""
    run = serving.begun("telling", {"text": "hang"})
    wait_until(lambda: (tmp_path / "mark").exists() and (tmp_path / "mark").read_text() != "")
    pid = json.loads((serving.project.state / "pipelines" / "runs" / run / "state.json").read_text())["pid"]
    worker = psutil.Process(pid)
    wait_until(lambda: any(one.name() == "sleep" for one in worker.children(recursive=True)))
    return run, [worker, *worker.children(recursive=True)]


def test_a_run_outlives_the_service_and_is_found_again(serving: Service, tmp_path: Path) -> None:
    run, processes = hanging(serving, tmp_path)
    assert serving.end(signal.SIGKILL) == -signal.SIGKILL
    assert all(one.is_running() for one in processes)
    serving.start()
    assert serving.run(run)["state"] == "running"
    assert serving.ask("POST", f"/runs/{run}/cancel")[0] == 202
    assert serving.ended(run)["state"] == "cancelled"
    assert not psutil.wait_procs(processes, timeout=60)[1]


def test_a_run_that_was_killed_is_reported_as_lost_and_leaves_no_process(serving: Service, tmp_path: Path) -> None:
    run, processes = hanging(serving, tmp_path)
    kill(processes[0].pid)
    seen = serving.ended(run)
    assert seen["state"] == "lost"
    assert "gone" in seen["error"]["what"]
    assert not psutil.wait_procs(processes, timeout=60)[1]


def test_a_failing_run_tells_the_last_lines_of_its_step(serving: Service) -> None:
    run = serving.ended(serving.begun("telling", {"text": "fail"}))
    assert run["state"] == "failed"
    assert "step tell failed" in run["error"]["what"]
    assert "it can't be done" in run["error"]["why"]


def test_a_version_runs_as_it_was_published_whatever_becomes_of_the_checkout(serving: Service) -> None:
    project = serving.project
    step = project.pipelines / "code" / "step.py"
    step.write_text(step.read_text().replace("json.dumps(words)", 'json.dumps(["changed", *words])'))
    pipeline = project.pipelines / "telling.yml"
    pipeline.write_text(pipeline.read_text().replace("text: hello", "text: goodbye"))
    assert words_told(serving.ended(serving.begun("telling")))[0] == "hello"
    version, made = PublishedPipelines(project).publish("telling")
    assert (version.version, made, version.default) == (2, True, True)
    assert words_told(serving.ended(serving.begun("telling")))[:2] == ["changed", "goodbye"]
    shutil.rmtree(project.pipelines)
    assert words_told(serving.ended(serving.begun("telling", version=1)))[0] == "hello"


def test_consume_follows_a_run_to_its_end_and_says_how_it_ended(serving: Service, run_pushline: Callable[..., Ran]) -> None:
    good = run_pushline(serving.project, "consume", "telling", "--set", "count=4", "--json")
    assert good.code == 0, good.err
    assert json.loads(good.out)["state"] == "succeeded"
    assert "tell: done in" in good.err
    bad = run_pushline(serving.project, "consume", "telling", "--set", "text=fail")
    assert bad.code == 4
    assert "it can't be done" in bad.err
    wrong = run_pushline(serving.project, "consume", "telling", "--set", "weather=fine")
    assert wrong.code == 2
    assert "no input 'weather'" in wrong.err
    stranger = run_pushline(serving.project, "consume", "telling", env={"PUSHLINE_KEY": "k" * 40})
    assert stranger.code == 2
    assert "The key is not valid" in stranger.err
    assert serving.key not in good.out + good.err + bad.err + stranger.err


def test_a_second_service_of_one_project_is_refused(serving: Service) -> None:
    ran = run_cli(serving.project, "pipelines", "serve", "--port", "0")
    assert ran.code == 4
    assert "`pushline pipelines serve`" in ran.err
    assert "served on http://127.0.0.1:" in ran.err
