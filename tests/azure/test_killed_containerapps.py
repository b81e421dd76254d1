"""On container apps too: each command killed after each call that changes something, and with each such call refused.

Run again, it ends as an undisturbed one; at no call between does a revision with weight refuse a key that a client has from Key
Vault, and weights and tags tell one story. The services are played here, so that all calls can be walked.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake.loopback import Loopback
from test_killed_azure import COMMANDS as COMMON
from test_killed_azure import Calls, Killed, Registry, counted_calls, prepared, without_smoke
from test_killed_azure import execute as execute_common

from conftest import QUICK
from models_made import release_of
from pushline.azure.containerapps.target import ContainerAppsTarget
from pushline.azure.image import scoring_image
from pushline.errors import PushlineError
from pushline.progress import silent
from pushline.project import Project
from pushline.release.target import Endpoint
from pushline.results import Release
from pushline.settings import load_settings

pytestmark = pytest.mark.slow
COMMANDS = ("deploy", *COMMON)


class AppCalls(Calls):
    """Looks, at each call, at whoever has weight."""

    def look(self) -> None:
        run = self.azure.world.apps.get(self.label)
        if run is None or run.stopped:
            return
        for name, weight in run.weights().items():
            replica = run.revisions[name].replica
            if weight and (replica is None or not {*self.held, self.vault()["primary"]} <= replica.keys):
                self.refused.append(f"after {self.seen[-1:]}")


@pytest.fixture
def calls(azure: Loopback, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Calls:
    return counted_calls(AppCalls(azure, f"killed-{abs(hash(request.node.name)) % 10**8}"), monkeypatch)


World = tuple[Callable[[], ContainerAppsTarget], Registry]


@pytest.fixture
def world(azure: Loopback, aci: Project, calls: Calls, model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    azure.world.light = True
    monkeypatch.setattr("pushline.azure.containerapps.app.LOOK_S", 0.02)
    monkeypatch.setattr("pushline.release.steps.NOTICE_S", 0.01)  # nobody asks what is played
    monkeypatch.setattr("pushline.azure.arm.pause", lambda answer: 0.01)
    for name, value in azure.reach().items() | azure.as_job().items():
        monkeypatch.setenv(name, value)
    without_smoke(monkeypatch)
    images: dict[str, str] = {}

    def image(project: Project, release: Release, *more: Any) -> str:
        """Built once for a release: packing the context again each time is most of the time."""
        return images.get(release.id) or images.setdefault(release.id, scoring_image(project, release, *more))

    monkeypatch.setattr("pushline.azure.endpoint.scoring_image", image)
    said = {**azure.settings(), **QUICK, "PUSHLINE_TARGET": "containerapps", "PUSHLINE_AZURE__LABEL": calls.label}
    settings = load_settings(aci.root, said)
    one = ContainerAppsTarget(aci, settings)

    def target() -> ContainerAppsTarget:
        """As a new process has it; what it only reads of the workspace is kept."""
        made = ContainerAppsTarget(aci, settings)
        made.cloud = one.cloud
        return made

    yield target, Registry(calls, model)
    azure.world.faults.clear()
    azure.world.apps.pop(calls.label, None)


def truth(calls: Calls, target: ContainerAppsTarget, registry: Registry) -> dict[str, Any]:
    """What is so at the end, without what differs from one run to the next: names of revisions tell their keys."""
    status, state = target.status(), target.app.read()
    run = calls.azure.world.apps.get(calls.label)
    active = [state.revisions[name.partition("--")[2]] for name, each in run.revisions.items() if each.active] if run else []
    replicas = [each.replica for each in run.revisions.values() if each.replica] if run else []
    return {
        "live": status.live and (status.live.release.id, status.live.ready),
        "candidate": status.candidate and (status.candidate.release.id, status.candidate.ready),
        "previous": status.previous and status.previous.id,
        "notes": status.notes,
        "unfinished": status.unfinished,
        "history": [state.revisions[each].release.id for each in state.history],
        "weights": [(state.revisions[suffix].release.id, weight) for suffix, weight in state.weights.items()],
        "active": sorted(each.release.id for each in active),
        "champion": registry.role,
        "keys": all(set(calls.vault().values()) == replica.keys for replica in replicas),
    }


def execute(target: ContainerAppsTarget, registry: Registry, command: str, proof: Any) -> None:
    if command == "deploy":
        target.deploy_candidate(release_of(registry.model, 4), silent)
    else:
        execute_common(target, registry, command, proof)


Start = Callable[[str], tuple[Registry, Callable[[], ContainerAppsTarget], Any]]


@pytest.fixture
def start(world: World, calls: Calls, model: Path) -> Start:
    """Bring all to where a command begins, by hand the first time and as it was then later; it begins with its first call."""
    target, registry = world
    azure, before = calls.azure.world, {}

    def copied(run: Any) -> Any:
        made = copy.copy(run)
        made.revisions = {name: copy.copy(each) for name, each in run.revisions.items()}
        made.operation = ""
        return made

    def begin(command: str) -> tuple[Registry, Callable[[], ContainerAppsTarget], Any]:
        calls.dead, calls.kill_after, calls.held = False, 0, set()
        azure.faults.clear()
        if not before:
            proof = prepared(target(), registry, model, command)
            target().image_of(release_of(model, 4), silent)  # building it is not what is looked at here
            before.update(run=copied(azure.apps[calls.label]), vault=list(azure.vault[calls.secret]), proof=proof, role=registry.role)
        azure.apps[calls.label] = copied(before["run"])
        azure.vault[calls.secret] = list(before["vault"])
        registry.role = before["role"]
        calls.held = {calls.vault()["primary"]}
        calls.seen.clear()
        return registry, target, before["proof"]

    return begin


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_after_any_call_and_run_again_it_ends_as_an_undisturbed_one(calls: Calls, start: Start, command: str) -> None:
    registry, target, proof = start(command)
    execute(target(), registry, command, proof)
    wanted, undisturbed = truth(calls, target(), registry), len(calls.seen)
    assert wanted["keys"]
    assert not wanted["notes"] or command == "stop"
    for number in range(1, undisturbed + 1):
        registry, target, proof = start(command)
        calls.kill_after = number
        with pytest.raises(Killed):
            execute(target(), registry, command, proof)
        call = calls.seen[-1]
        calls.dead, calls.kill_after = False, 0
        target().status()  # looks, and changes nothing
        if command in ("rollback", "rotate") and number == undisturbed:
            assert truth(calls, target(), registry) == wanted  # it was done: once more would be another one
        elif command != "withdraw":  # that is no command: promote is, and it says that its candidate is gone
            execute(target(), registry, command, proof)
            assert truth(calls, target(), registry) == wanted, f"killed after call {number}: {call}"
        assert calls.refused == [], f"killed after call {number}: {call}"


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_with_any_call_refused_and_run_again_it_ends_as_an_undisturbed_one(calls: Calls, start: Start, command: str) -> None:
    registry, target, proof = start(command)
    execute(target(), registry, command, proof)
    wanted, undisturbed = truth(calls, target(), registry), len(calls.seen)
    for number in range(1, undisturbed + 1):
        registry, target, proof = start(command)
        calls.refuse_at = number
        ended = False
        with contextlib.suppress(PushlineError):
            execute(target(), registry, command, proof)
            ended = True
        call = calls.refused_call
        calls.refuse_at = 0
        if not ended:
            execute(target(), registry, command, proof)
        assert truth(calls, target(), registry) == wanted, f"refused call {number}: {call}"
        assert calls.refused == [], f"refused call {number}: {call}"


def test_a_split_that_a_killed_command_has_left_ends_with_the_next_command(calls: Calls, start: Start) -> None:
    registry, target, proof = start("promote")
    candidate = Endpoint(release=proof[0].release, url=proof[0].url)
    run = calls.azure.world.apps[calls.label]
    with contextlib.suppress(Killed), target().split(candidate, silent) as split:
        split.give(0.101)
        calls.dead = True
        raise Killed
    calls.dead = False
    assert sorted(run.weights().values()) == [10, 90]
    assert "10 %" in target().status().notes[0]
    execute(target(), registry, "promote", proof)
    assert list(run.weights().values()) == [100]
    assert target().status().notes == ()


def test_a_candidate_that_does_not_answer_has_failed_and_a_live_release_that_does_not_ends_the_steps(calls: Calls, start: Start) -> None:
    _, target, proof = start("promote")
    run, state = calls.azure.world.apps[calls.label], target().app.read()
    with target().split(Endpoint(release=proof[0].release, url=proof[0].url), silent) as split:
        assert [each.requests for each in split.counts()] == [0, 0]
        run.revisions[f"{calls.label}--{state.candidate}"].replica = None
        assert [(each.requests, each.failures) for each in split.counts()] == [(0, 0), (1, 1)]
        assert split.counts()[1].failures == 2
        run.revisions[f"{calls.label}--{state.live}"].replica = None
        with pytest.raises(PushlineError, match="does not answer"):
            split.counts()


def test_a_split_ends_with_its_block(calls: Calls, start: Start) -> None:
    _, target, proof = start("promote")
    run = calls.azure.world.apps[calls.label]
    live = target().app.read().live
    with target().split(Endpoint(release=proof[0].release, url=proof[0].url), silent) as split:
        split.give(0.001)
        assert sorted(run.weights().values()) == [1, 99], "a whole percent, at least 1"
        split.give(0.5)
        assert sorted(run.weights().values()) == [50, 50]
    assert run.weights() == {f"{calls.label}--{live}": 100}
