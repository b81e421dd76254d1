"""From an accepted model version to a live release, through the real commands."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from command import Ran, clean_environment, run_cli
from pushline.errors import SmokeFailed
from pushline.project import Project
from pushline.registry import open_store
from pushline.release.local import LocalTarget
from pushline.release.stages import promote
from pushline.release.target import Endpoint, Tell
from pushline.results import Deployed, LoadTested, Smoked, load, save
from pushline.serving.model_folder import read_golden
from pushline.settings import load_settings
from working_copy import copy_project

from .hammer import Hammer
from .registered import BETTER, GENERATED, GOOD, REFUSED, copy_registry, register_versions

pytestmark = pytest.mark.slow

QUICK = {"PUSHLINE_LOAD__SECONDS": "2", "PUSHLINE_LOAD__RATE": "20", "PUSHLINE_LOAD__P95_MS": "1500", "PUSHLINE_LOAD__P99_MS": "1500"}

Pushline = Callable[..., Ran]


@pytest.fixture(scope="module")
def template(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a registry, for copying."""
    place = tmp_path_factory.mktemp("registered")
    (place / "project").mkdir()
    project = copy_project(repo, place / "project")
    register_versions(project, place)
    return project


@pytest.fixture
def pushline(project: Project, template: Project, free_port: int) -> Iterator[Pushline]:
    """Runs commands in a project with a registry, on a short load; stops what runs at the end."""
    copy_registry(template, project)

    def run(*arguments: str, **env: str) -> Ran:
        return run_cli(project, *arguments, env={**QUICK, "PUSHLINE_SERVING__PORT": str(free_port), **env})

    yield run
    assert run("stop").code == 0


def done(ran: Ran) -> Any:
    """What a command that went well printed as JSON."""
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def deliver(pushline: Pushline, version: str) -> Any:
    for command in (("deploy", "--version", version), ("smoke",), ("load-test",)):
        done(pushline(*command, "--json"))
    return done(pushline("promote", "--json"))


def champion_of(project: Project) -> str | None:
    champion = open_store(project, load_settings(project.root, {})).champion()
    return champion.version if champion else None


def hammer_on(project: Project, live: dict[str, Any]) -> Hammer:
    key = json.loads((project.state / "keys.json").read_text())["primary"]
    row = read_golden(project.root / live["release"]["model"])[0].row
    return Hammer(live["url"], msgspec.json.encode({"data": [row]}), key, rate=200)


def test_a_delivery_ends_live_and_crowned_and_a_rollback_undoes_both(project: Project, pushline: Pushline) -> None:
    first = deliver(pushline, GOOD)
    second = deliver(pushline, BETTER)
    assert second["previous"] == first["release"]["id"]
    assert champion_of(project) == BETTER
    status = done(pushline("status", "--json"))
    assert (status["live"]["release"]["id"], status["candidate"]) == (second["release"]["id"], None)
    plan = done(pushline("rollback", "--plan", "--json"))
    assert (plan["live"], plan["previous"]) == (second["release"]["id"], first["release"]["id"])
    back = done(pushline("rollback", "--json"))
    assert back["release"]["id"] == first["release"]["id"]
    assert champion_of(project) == GOOD
    nothing = pushline("rollback")
    assert nothing.code == 4
    assert "There is no previous release" in nothing.err


def test_a_version_that_was_not_accepted_is_not_deployed(pushline: Pushline) -> None:
    ran = pushline("deploy", "--version", REFUSED)
    assert ran.code == 1
    assert "it is worse than the champion" in ran.err
    assert done(pushline("status", "--json"))["candidate"] is None


def test_a_version_of_generated_rows_is_released_on_this_machine_only(pushline: Pushline) -> None:
    assert done(pushline("deploy", "--version", GENERATED, "--json"))["target"] == "local"


def test_a_version_that_does_not_exist_is_told_with_those_that_do(pushline: Pushline) -> None:
    ran = pushline("deploy", "--version", "99")
    assert ran.code == 4
    assert "There are 4, 3, 2, 1" in ran.err


def test_a_candidate_that_breaks_its_slo_is_discarded_and_the_live_one_answers_throughout(project: Project, pushline: Pushline) -> None:
    live = deliver(pushline, GOOD)
    with hammer_on(project, live) as hammer:
        done(pushline("deploy", "--version", BETTER, "--json"))
        done(pushline("smoke", "--json"))
        tested = pushline("load-test", "--json", PUSHLINE_LOAD__P99_MS="0.001", PUSHLINE_LOAD__P95_MS="0.001")
        promoted = pushline("promote")
        discarded = done(pushline("discard", "--json"))
    assert tested.code == 1
    assert {breach["name"] for breach in json.loads(tested.out)["breaches"]} >= {"p95 in ms", "p99 in ms"}
    assert promoted.code == 1
    assert "load-test did not pass" in promoted.err
    assert discarded == {"discarded": True}
    assert hammer.failures == []
    assert set(hammer.seen) == {live["release"]["id"]}
    assert champion_of(project) == GOOD


def test_a_candidate_that_stalls_breaks_its_slo(project: Project, pushline: Pushline) -> None:
    candidate = done(pushline("deploy", "--version", GOOD, "--json"))
    done(pushline("smoke", "--json"))
    workers = [worker for worker in workers_of(project) if candidate["release"]["id"] in " ".join(worker.cmdline())]
    assert workers
    for worker in workers:
        worker.suspend()
    try:
        tested = pushline("load-test", "--json")
    finally:
        for worker in workers:
            worker.resume()
    assert tested.code == 1
    assert "achieved share of the offered rate" in {breach["name"] for breach in json.loads(tested.out)["breaches"]}


def test_a_candidate_that_is_gone_fails_smoke_and_load(project: Project, pushline: Pushline) -> None:
    done(pushline("deploy", "--version", GOOD, "--json"))
    for worker in workers_of(project):
        worker.kill()
    smoked, tested = pushline("smoke", "--json"), pushline("load-test", "--json")
    assert (smoked.code, tested.code) == (1, 1)
    assert not any(assertion["passed"] for assertion in json.loads(smoked.out)["assertions"])
    assert json.loads(tested.out)["achieved_rps"] == 0


def workers_of(project: Project) -> list[psutil.Process]:
    """Supervisors and workers of the project."""
    found = []
    for process in psutil.process_iter():
        try:
            if f"{project.state}/keys.json" in process.cmdline():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def test_promotion_wants_evidence_of_this_very_candidate(project: Project, pushline: Pushline) -> None:
    done(pushline("deploy", "--version", GOOD, "--json"))
    missing = pushline("promote")
    assert missing.code == 2
    assert "There is no result of smoke yet" in missing.err
    done(pushline("smoke", "--json"))
    done(pushline("load-test", "--json"))
    done(pushline("deploy", "--version", GOOD, "--json"))  # the same release again is another candidate
    stale = pushline("promote")
    assert stale.code == 1
    assert "not of this candidate" in stale.err
    assert done(pushline("status", "--json"))["live"] is None


@pytest.mark.parametrize("kind", [Smoked, LoadTested])
def test_promotion_refuses_evidence_of_another_release(project: Project, pushline: Pushline, kind: type[Smoked | LoadTested]) -> None:
    done(pushline("deploy", "--version", GOOD, "--json"))
    done(pushline("smoke", "--json"))
    done(pushline("load-test", "--json"))
    save(project.build, msgspec.structs.replace(load(project.build, kind), release="v9-other"))
    ran = pushline("promote")
    assert ran.code == 1
    assert "not of this candidate" in ran.err


def test_a_golden_row_that_differs_fails_smoke(project: Project, pushline: Pushline) -> None:
    deployed = done(pushline("deploy", "--version", GOOD, "--json"))
    golden = project.root / deployed["release"]["model"] / "golden.json"
    rows = json.loads(golden.read_text())
    rows[0]["probabilities"] = [1 - p + 2e-4 if p > 0.5 else p + 2e-4 for p in rows[0]["probabilities"]]
    golden.chmod(0o644)
    golden.write_text(json.dumps(rows))
    ran = pushline("smoke", "--json")
    assert ran.code == 1
    failed = [assertion["name"] for assertion in json.loads(ran.out)["assertions"] if not assertion["passed"]]
    assert failed == ["20 golden rows score as in training"]


def expecting_otherwise(target: LocalTarget, live: Endpoint) -> None:
    """Let smoke on the live address fail: what the release must answer is not what it answers."""
    golden = Path(live.release.model) / "golden.json"
    rows = [msgspec.structs.replace(row, probabilities=row.probabilities[::-1]) for row in read_golden(golden.parent)]
    golden.chmod(0o644)
    golden.write_bytes(msgspec.json.encode(rows))


def dying(target: LocalTarget, live: Endpoint) -> None:
    """Let smoke on the live address fail: nothing answers there any more."""
    state = target.record.read()
    assert state.live is not None
    assert state.live.process is not None
    psutil.Process(state.live.process.pid).kill()


@pytest.mark.parametrize("spoil", [expecting_otherwise, dying])
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_a_release_that_fails_on_the_live_address_is_taken_back(
    project: Project, pushline: Pushline, free_port: int, spoil: Callable[[LocalTarget, Endpoint], None], first: bool
) -> None:
    class Spoiled(LocalTarget):
        def promote(self, candidate: Endpoint, tell: Tell) -> Endpoint:
            live = super().promote(candidate, tell)
            spoil(self, live)
            return live

    before = None if first else deliver(pushline, GOOD)
    for command in (("deploy", "--version", BETTER), ("smoke",), ("load-test",)):
        done(pushline(*command, "--json"))
    settings = load_settings(project.root, {"PUSHLINE_SERVING__PORT": str(free_port)})
    proof = [load(project.build, kind) for kind in (Deployed, Smoked, LoadTested)]
    with pytest.raises(SmokeFailed, match="on the live address"), hammer_on(project, before) if before else nullcontext() as hammer:
        promote(*proof, open_store(project, settings), Spoiled(project, settings), tell=print)  # type: ignore[arg-type]
    live = done(pushline("status", "--json"))["live"]
    assert live == before if first else live["release"]["id"] == before["release"]["id"]  # type: ignore[index]
    assert champion_of(project) == (None if first else GOOD)
    if hammer is not None and spoil is expecting_otherwise:
        assert hammer.failures == []


def test_interrupting_a_load_test_leaves_no_process_and_no_result(project: Project, pushline: Pushline, free_port: int) -> None:
    live = deliver(pushline, GOOD)
    done(pushline("deploy", "--version", BETTER, "--json"))
    environment = clean_environment({**QUICK, "PUSHLINE_LOAD__SECONDS": "60", "PUSHLINE_SERVING__PORT": str(free_port)})
    command = [sys.executable, "-m", "pushline", "load-test"]
    with subprocess.Popen(command, cwd=project.root, env=environment, stderr=subprocess.PIPE, text=True) as running:
        children = wait_for_children(running.pid)
        running.send_signal(signal.SIGTERM)
        said = running.communicate(timeout=20)[1]
    assert running.returncode == 130
    assert "Traceback" not in said
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert not (project.build / "load-test" / "result.json").exists()
    assert done(pushline("status", "--json"))["live"]["release"]["id"] == live["release"]["id"]
    done(pushline("load-test", "--json"))


def wait_for_children(pid: int) -> list[psutil.Process]:
    """The load generator, once it has connected."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        children = psutil.Process(pid).children(recursive=True)
        if any(child.net_connections() for child in children):
            return children
        time.sleep(0.1)
    raise AssertionError("the load never began")


def test_a_build_folder_that_cannot_be_written_is_told(project: Project, pushline: Pushline) -> None:
    done(pushline("deploy", "--version", GOOD, "--json"))
    (project.build / "load-test").mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=4k", "tmpfs", str(project.build / "load-test")], check=False)
        if mounted.returncode != 0:
            pytest.skip("nothing can be mounted here")
    else:
        (project.build / "load-test").chmod(0o555)
    try:
        ran = pushline("load-test")
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", str(project.build / "load-test")], check=True)
        else:
            (project.build / "load-test").chmod(0o755)
    assert ran.code == 4
    assert "can't be written" in ran.err
    assert "Traceback" not in ran.err


def test_no_key_is_printed_or_left_anywhere_but_in_its_file(project: Project, pushline: Pushline) -> None:
    printed = [pushline("keys", "show-path"), pushline("keys", "rotate"), pushline("deploy", "--version", GOOD), pushline("smoke")]
    printed += [pushline("load-test", "--json"), pushline("promote", "--json"), pushline("status"), pushline("logs", "--json")]
    assert [ran.code for ran in printed] == [0] * len(printed)
    keys = json.loads((project.state / "keys.json").read_text()).values()
    words = [*(ran.out + ran.err for ran in printed)]
    words += [" ".join(process.cmdline()) for process in workers_of(project)]
    assert not [word for word in words for key in keys if key in word]
    files = [file for place in (project.build, project.state) for file in place.rglob("*") if file.is_file() and file.name != "keys.json"]
    assert not [file for file in files for key in keys if key.encode() in file.read_bytes()]
