"""The commands about releases that run, as a person sees them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command import Ran, clean_environment
from pushline.progress import silent
from pushline.project import Project
from pushline.release.local import LocalTarget
from pushline.serving.client import Client

from .conftest import ReleaseOf, deliver

Run = Callable[..., Ran]


def test_without_a_release_every_command_says_so(project: Project, run_pushline: Run) -> None:
    assert "live: none" in run_pushline(project, "status").out
    assert run_pushline(project, "discard").out == "There was no candidate.\n"
    assert run_pushline(project, "stop").out == "Nothing was running.\n"
    assert run_pushline(project, "logs").out == ""
    rollback = run_pushline(project, "rollback", "--plan")
    assert (rollback.code, rollback.out) == (4, "")
    assert "There is no previous release to roll back to." in rollback.err


@pytest.mark.slow
def test_status_shows_the_slots_and_what_comes_back(project: Project, local: LocalTarget, release: ReleaseOf, run_pushline: Run) -> None:
    deliver(local, release(1))
    live = deliver(local, release(2))
    candidate = local.deploy_candidate(release(3), silent)
    lines = run_pushline(project, "status").out.splitlines()
    assert lines == [
        "target: local",
        f"live: v2-test (model version 2) at {live.url}",
        f"candidate: v3-test (model version 3) at {candidate.url}",
        "previous: v1-test",
    ]
    told = json.loads(run_pushline(project, "status", "--json").out)
    assert (told["live"]["url"], told["candidate"]["url"], told["previous"]["id"]) == (live.url, candidate.url, "v1-test")


@pytest.mark.slow
def test_rollback_discard_and_stop_answer_in_json_alone(
    project: Project, local: LocalTarget, release: ReleaseOf, run_pushline: Run
) -> None:
    deliver(local, release(1))
    deliver(local, release(2))
    local.deploy_candidate(release(3), silent)
    assert json.loads(run_pushline(project, "rollback", "--plan", "--json").out) == {
        "target": "local",
        "live": "v2-test",
        "live_version": "2",
        "previous": "v1-test",
        "previous_version": "1",
    }
    refused = run_pushline(project, "rollback", "--to", "v0-test")  # approved before v2 was released
    assert refused.code == 1
    assert "the release before is v1-test now" in refused.err
    assert json.loads(run_pushline(project, "status", "--json").out)["live"]["release"]["id"] == "v2-test"
    assert json.loads(run_pushline(project, "discard", "--json").out) == {"discarded": True}
    assert json.loads(run_pushline(project, "stop", "--json").out) == {"stopped": True}


@pytest.mark.slow
def test_logs_are_filtered_by_time_and_failure(project: Project, local: LocalTarget, release: ReleaseOf, run_pushline: Run) -> None:
    live = deliver(local, release(1))
    Client(live.url).score([], None)
    local.stop(silent)  # what is logged is written by then
    entries = [json.loads(line) for line in run_pushline(project, "logs", "--json").out.splitlines()]
    assert {"started", "ready", "refused"} <= {entry["event"] for entry in entries}
    assert set(entries[0]) == {"at", "level", "event", "release", "fields"}
    errors = run_pushline(project, "logs", "--errors").out.splitlines()
    assert len(errors) == 1
    assert "status=401" in errors[0]
    assert "v1-test" in errors[0]
    wrong = run_pushline(project, "logs", "--since", "soon")
    assert wrong.code == 2
    assert "is not a duration" in wrong.err


@pytest.mark.slow
def test_following_the_logs_shows_what_comes_and_ends_when_interrupted(project: Project, local: LocalTarget, release: ReleaseOf) -> None:
    live = deliver(local, release(1))
    command = [sys.executable, "-m", "pushline", "logs", "--errors", "--follow"]
    with subprocess.Popen(command, cwd=project.root, env=clean_environment(), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        Client(live.url).score([], None)
        assert "status=401" in following.stdout.readline()
        Client(live.url).get("/nowhere")
        assert "status=404" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=60) == 130


def test_keys_are_made_once_and_only_their_place_is_shown(project: Project, run_pushline: Run) -> None:
    shown = run_pushline(project, "keys", "show-path").out.strip()
    assert Path(shown) == project.state / "keys.json"
    before = json.loads(Path(shown).read_text())
    assert Path(shown).stat().st_mode & 0o777 == 0o600
    rotated = run_pushline(project, "keys", "rotate", "--json")
    assert json.loads(rotated.out) == {"rotated": True, "place": shown}
    after = json.loads(Path(shown).read_text())
    assert after["secondary"] == before["primary"]
    assert after["primary"] not in before.values()
    assert not [key for key in (*before.values(), *after.values()) if key in rotated.out + rotated.err]


def test_keys_that_others_could_read_stop_the_commands(project: Project, run_pushline: Run) -> None:
    run_pushline(project, "keys", "show-path")
    (project.state / "keys.json").chmod(0o644)
    ran = run_pushline(project, "keys", "rotate")
    assert ran.code == 2
    assert "Others can read the keys" in ran.err


def test_a_folder_that_cannot_be_written_is_told(project: Project, run_pushline: Run) -> None:
    if os.getuid() == 0:
        (project.root / ".pushline").write_text("a file where the folder should be")
    else:
        project.root.chmod(0o555)
    try:
        ran = run_pushline(project, "keys", "show-path")
    finally:
        project.root.chmod(0o755)
    assert ran.code == 4
    assert "can't be written" in ran.err
    assert "Traceback" not in ran.err


def test_the_primary_key_is_printed_alone_for_a_shell_but_never_into_the_log_of_a_job(project: Project, run_pushline: Run) -> None:
    shown = run_pushline(project, "keys", "show")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.strip() == json.loads((project.state / "keys.json").read_text())["primary"]
    in_a_job = run_pushline(project, "keys", "show", env={"GITHUB_ACTIONS": "true"})
    assert (in_a_job.code, in_a_job.out) == (2, "")
    assert shown.out.strip() not in in_a_job.err


@pytest.mark.slow
def test_the_live_address_is_printed_alone_for_a_shell(project: Project, local: LocalTarget, release: ReleaseOf, run_pushline: Run) -> None:
    assert "Nothing is live" in run_pushline(project, "status", "--url").err
    live = deliver(local, release(1))
    assert run_pushline(project, "status", "--url").out == f"{live.url}\n"
