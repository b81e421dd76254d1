"""From an accepted model version to a live release, through the real commands."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from command import Ran, clean_environment, run_cli
from pushline.errors import NotAccepted, RegistryError, SmokeFailed
from pushline.progress import Progress, silent
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.store import ModelStore
from pushline.release.local import LocalTarget
from pushline.release.stages import deploy, promote, smoke
from pushline.release.target import Endpoint
from pushline.results import DeployResult, LoadTestResult, SmokeResult, load, save
from pushline.serving.model_folder import read_golden
from pushline.settings import PushlineSettings, load_settings
from working_copy import copy_project

from .conftest import ReleaseOf, body_of, deliver, processes_of
from .hammer import Hammer
from .registered import BETTER, GENERATED, GOOD, REFUSED, copy_registry, register_versions

pytestmark = pytest.mark.slow

QUICK = {"PUSHLINE_LOAD__SECONDS": "2", "PUSHLINE_LOAD__RATE": "20", "PUSHLINE_LOAD__P95_MS": "1500", "PUSHLINE_LOAD__P99_MS": "1500"}

# A load test that passed, but for whose it was.
LOAD: dict[str, Any] = {
    "offered_rps": 20, "achieved_rps": 20, "seconds": 2, "requests": 40, "failures": 0, "errors": {}, "p50_ms": 1, "p95_ms": 1,
    "p99_ms": 1, "max_ms": 1, "timeline": (), "breaches": (), "passed": True,
}  # fmt: skip

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
def pushline(project: Project, local: LocalTarget) -> Pushline:
    """Runs commands in the project of `local`, on a short load."""

    def run(*arguments: str, **env: str) -> Ran:
        return run_cli(project, *arguments, env={**QUICK, "PUSHLINE_SERVING__PORT": str(local.settings.port), **env})

    return run


@pytest.fixture
def registry(project: Project, template: Project, local: LocalTarget) -> ModelStore:
    """The project's registry, with versions in it."""
    copy_registry(template, project)
    return open_store(project, load_settings(project.root, {}))


@pytest.fixture
def candidate(project: Project, local: LocalTarget, release: ReleaseOf) -> DeployResult:
    """A candidate, as `pushline deploy` leaves it."""
    endpoint = local.deploy_candidate(release(2), silent)
    deployed = DeployResult(target="local", url=endpoint.url, release=endpoint.release)
    save(project.build, deployed)
    return deployed


def done(ran: Ran) -> Any:
    """What a command that went well printed as JSON."""
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def run_all(pushline: Pushline, version: str) -> Any:
    """Take a version of the registry to the live address."""
    for command in (("deploy", "--version", version), ("smoke",), ("load-test",)):
        done(pushline(*command, "--json"))
    return done(pushline("promote", "--json"))


def champion_of(store: ModelStore) -> str | None:
    champion = store.champion()
    return champion.version if champion else None


def test_a_delivery_ends_live_and_crowned_and_a_rollback_undoes_both(pushline: Pushline, registry: ModelStore) -> None:
    first = run_all(pushline, GOOD)
    second = run_all(pushline, BETTER)
    assert second["previous"] == first["release"]["id"]
    assert champion_of(registry) == BETTER
    status = done(pushline("status", "--json"))
    assert (status["live"]["release"]["id"], status["candidate"]) == (second["release"]["id"], None)
    plan = done(pushline("rollback", "--plan", "--json"))
    assert (plan["live"], plan["previous"]) == (second["release"]["id"], first["release"]["id"])
    back = done(pushline("rollback", "--json"))
    assert back["release"]["id"] == first["release"]["id"]
    assert champion_of(registry) == GOOD
    nothing = pushline("rollback")
    assert nothing.code == 4
    assert "There is no previous release" in nothing.err


def test_a_rollback_names_the_version_it_replaces_although_its_release_ended_with_its_machine(
    pushline: Pushline, registry: ModelStore, local: LocalTarget, release: ReleaseOf, tmp_path: Path
) -> None:
    deliver(local, release(1))
    deliver(local, release(2))
    registry.set_champion_alias(BETTER)
    local.stop(silent)
    state = local.record.read()
    local.record.write(msgspec.structs.replace(state, live=None, history=state.history[:1]))  # as another machine gets to know it
    plan = done(pushline("rollback", "--plan", "--json", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md")))
    assert (plan["live"], plan["live_version"], plan["previous"]) == (None, BETTER, "v1-test")
    said = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert f"Approving it replaces version {BETTER}, whose release ended with the machine it ran on, with `v1-test` (version 1)" in said


def test_a_version_that_was_not_accepted_is_not_deployed(pushline: Pushline, registry: ModelStore) -> None:
    ran = pushline("deploy", "--version", REFUSED)
    assert ran.code == 1
    assert "it is worse than the champion" in ran.err
    assert done(pushline("status", "--json"))["candidate"] is None


class Cloud(LocalTarget):
    """A target that is not this machine."""

    name = "aci"


def test_a_version_of_generated_rows_is_released_on_this_machine_only(project: Project, local: LocalTarget, registry: ModelStore) -> None:
    assert deploy(None, GENERATED, registry, local, project, progress=silent).target == "local"
    with pytest.raises(NotAccepted, match="may not be released to aci"):
        deploy(None, GENERATED, registry, Cloud(project, load_settings(project.root, {})), project, progress=silent)


def test_a_version_that_does_not_exist_is_told_with_those_that_do(project: Project, local: LocalTarget, registry: ModelStore) -> None:
    with pytest.raises(RegistryError) as told:
        deploy(None, "99", registry, local, project, progress=silent)
    assert "It has versions 4, 3, 2, 1." in told.value.why


def test_a_candidate_that_breaks_its_slo_is_discarded_and_the_live_one_answers_throughout(
    project: Project, pushline: Pushline, local: LocalTarget, release: ReleaseOf
) -> None:
    live = deliver(local, release(1))
    with Hammer(live.url, body_of(live.release), local.keys().primary, rate=100) as hammer:
        endpoint = local.deploy_candidate(release(2), silent)
        save(project.build, DeployResult(target="local", url=endpoint.url, release=endpoint.release))
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
    assert set(hammer.seen) == {live.release.id}
    assert local.status().live == live


def test_a_candidate_that_stalls_breaks_its_slo(project: Project, pushline: Pushline, candidate: DeployResult) -> None:
    processes = processes_of(project)
    for process in processes:
        process.suspend()
    try:
        tested = pushline("load-test", "--json")
    finally:
        for process in processes:
            process.resume()
    assert tested.code == 1
    assert "achieved share of the offered rate" in {breach["name"] for breach in json.loads(tested.out)["breaches"]}


def test_a_candidate_that_is_gone_fails_smoke_and_load(project: Project, pushline: Pushline, candidate: DeployResult) -> None:
    for process in processes_of(project):
        process.kill()
    smoked, tested = pushline("smoke", "--json"), pushline("load-test", "--json")
    assert (smoked.code, tested.code) == (1, 1)
    assert not any(assertion["passed"] for assertion in json.loads(smoked.out)["assertions"])
    assert json.loads(tested.out)["achieved_rps"] == 0


def test_promotion_wants_passing_evidence_of_this_very_candidate(project: Project, pushline: Pushline, candidate: DeployResult) -> None:
    missing = pushline("promote")
    assert missing.code == 2
    assert "There is no result of smoke yet" in missing.err
    for command in ("smoke", "load-test"):
        done(pushline(command, "--json"))
    proofs: list[SmokeResult | LoadTestResult] = [load(project.build, SmokeResult), load(project.build, LoadTestResult)]
    for proof in proofs:
        for changes, words in (
            ({"passed": False}, "did not pass"),
            ({"release": "v9-other"}, "not of this candidate"),
            ({"url": "http://127.0.0.1:1"}, "not of this candidate"),
            ({"made_at": candidate.made_at - timedelta(seconds=1)}, "not of this candidate"),
        ):
            save(project.build, msgspec.structs.replace(proof, **changes))
            ran = pushline("promote")
            assert ran.code == 1, (changes, ran.err)
            assert words in ran.err
        save(project.build, proof)
    assert done(pushline("status", "--json"))["live"] is None


def test_a_golden_row_that_differs_fails_smoke(pushline: Pushline, candidate: DeployResult) -> None:
    golden = Path(candidate.release.model) / "golden.json"
    rows = json.loads(golden.read_text())
    rows[0]["probabilities"] = [p + 2e-4 for p in rows[0]["probabilities"]]
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
    local: LocalTarget, registry: ModelStore, release: ReleaseOf, spoil: Callable[[LocalTarget, Endpoint], None], first: bool
) -> None:
    class Spoiled(LocalTarget):
        def promote(self, candidate: Endpoint, progress: Progress) -> Endpoint:
            live = super().promote(candidate, progress)
            spoil(self, live)
            return live

    before = None if first else deliver(local, release(1))
    endpoint = local.deploy_candidate(release(2), silent)
    deployed = DeployResult(target="local", url=endpoint.url, release=endpoint.release)
    smoked = smoke(deployed, local, progress=silent)
    tested = LoadTestResult(**LOAD, url=endpoint.url, release=endpoint.release.id)
    local.__class__ = Spoiled
    watched = Hammer(before.url, body_of(release(1)), local.keys().primary) if before and spoil is expecting_otherwise else None
    with pytest.raises(SmokeFailed, match="on the live address"), watched or nullcontext():
        promote(deployed, smoked, tested, registry, local, PushlineSettings(), progress=silent)
    assert local.status().live == before
    assert champion_of(registry) is None
    assert watched is None or watched.failures == []


def test_a_release_that_replaced_itself_and_fails_stays_and_is_not_said_to_be_taken_back(
    local: LocalTarget, registry: ModelStore, release: ReleaseOf
) -> None:
    live = deliver(local, release(2))
    endpoint = local.deploy_candidate(release(2), silent)
    deployed = DeployResult(target="local", url=endpoint.url, release=endpoint.release)
    smoked = smoke(deployed, local, progress=silent)
    tested = LoadTestResult(**LOAD, url=endpoint.url, release=endpoint.release.id)
    told: list[str] = []

    class Spoiled(LocalTarget):
        def promote(self, candidate: Endpoint, progress: Progress) -> Endpoint:
            live = super().promote(candidate, progress)
            expecting_otherwise(self, live)
            return live

    local.__class__ = Spoiled
    with pytest.raises(SmokeFailed) as refused:
        promote(deployed, smoked, tested, registry, local, PushlineSettings(), progress=told.append)
    assert "v2-test was live before and still is" in refused.value.do
    assert "put back" not in str(refused.value)
    assert local.status().live == live


def test_a_promotion_whose_version_was_not_crowned_is_taken_up_again(local: LocalTarget, registry: ModelStore, release: ReleaseOf) -> None:
    endpoint = local.deploy_candidate(release(2), silent)
    deployed = DeployResult(target="local", url=endpoint.url, release=endpoint.release)
    proofs = smoke(deployed, local, progress=silent), LoadTestResult(**LOAD, url=endpoint.url, release=endpoint.release.id)
    local.promote(endpoint, silent)  # as if the command had been killed behind it
    promoted = promote(deployed, *proofs, registry, local, PushlineSettings(), progress=silent)
    assert promoted.release.id == "v2-test"
    assert champion_of(registry) == "2"


def test_an_interrupted_load_test_leaves_no_process_and_no_result(
    project: Project, pushline: Pushline, local: LocalTarget, candidate: DeployResult
) -> None:
    environment = clean_environment({**QUICK, "PUSHLINE_LOAD__SECONDS": "60"})
    command = [sys.executable, "-m", "pushline", "load-test"]
    with subprocess.Popen(command, cwd=project.root, env=environment, stderr=subprocess.PIPE, text=True) as running:
        children = wait_for_children(running.pid)
        running.send_signal(signal.SIGTERM)
        said = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert "Traceback" not in said
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert not (project.build / "load-test" / "result.json").exists()
    found = local.status().candidate
    assert found is not None
    assert found.ready
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


def test_a_build_folder_that_cannot_be_written_is_told(project: Project, pushline: Pushline, candidate: DeployResult) -> None:
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


def test_no_key_is_printed_or_left_anywhere_but_in_its_file(project: Project, pushline: Pushline, registry: ModelStore) -> None:
    printed = [pushline("keys", "show-path"), pushline("keys", "rotate"), pushline("deploy", "--version", GOOD), pushline("smoke")]
    printed += [pushline("load-test", "--json"), pushline("promote", "--json"), pushline("status"), pushline("logs", "--json")]
    assert [ran.code for ran in printed] == [0] * len(printed)
    keys = json.loads((project.state / "keys.json").read_text()).values()
    words = [*(ran.out + ran.err for ran in printed)]
    words += [" ".join(process.cmdline()) for process in processes_of(project)]
    assert not [word for word in words for key in keys if key in word]
    files = [file for place in (project.build, project.state) for file in place.rglob("*") if file.is_file() and file.name != "keys.json"]
    assert not [file for file in files for key in keys if key.encode() in file.read_bytes()]
