"""Each command that changes what is live, killed after each call that changes something, and with each such call refused.

Run again, it ends as an undisturbed one; and at no call between does a running release refuse a key that a client has from
Key Vault. The services of the groups are played here, so that all calls can be walked.
"""

import contextlib
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fake.loopback import Loopback

from conftest import QUICK
from models_made import release_of
from pushline.azure.image import scoring_image
from pushline.azure.target import AciTarget
from pushline.errors import PushlineError
from pushline.progress import silent
from pushline.project import Project
from pushline.registry.store import ModelVersion
from pushline.release import stages
from pushline.release.target import Target
from pushline.results import Assertion, DeployResult, LoadTestResult, Release, SmokeResult
from pushline.settings import PushlineSettings, load_settings

pytestmark = pytest.mark.slow
COMMANDS = ("promote", "rollback", "rotate", "stop", "withdraw")
READS = ("listkeys", "sharedkeys", "/oauth2/")  # asked with a POST, and nothing is changed


class Killed(BaseException):
    """The process is gone: nothing that it would do afterwards reaches Azure."""


class Registry:
    """Who is champion; telling it is a call like another."""

    def __init__(self, calls: "Calls", model: Path) -> None:
        self.calls, self.model, self.role = calls, model, ""

    def champion(self) -> ModelVersion | None:
        return ModelVersion(name="m", version=self.role, run_id="", made_at=None, tags={}) if self.role else None  # type: ignore[arg-type]

    def set_champion_alias(self, version: str) -> None:
        self.calls.count("CROWN", version)
        self.role = version
        self.calls.answered()

    def download(self, version: str) -> Path:
        return self.model


class Calls:
    """Counts the calls that change something; kills after, or refuses, the n-th."""

    def __init__(self, azure: Loopback, label: str) -> None:
        self.azure, self.label, self.secret = azure, label, f"pushline-{label}-keys"
        self.seen: list[str] = []
        self.kill_after, self.dead = 0, False
        self.refuse_at, self.refused_call = 0, ""
        self.held: set[str] = set()  # keys that clients have
        self.refused: list[str] = []

    def count(self, method: str, what: str) -> None:
        if self.dead:
            raise Killed
        self.seen.append(f"{method} {what}")

    def refuse(self, asked: requests.PreparedRequest) -> None:
        """Let the loopback answer this very call with a conflict."""
        if self.refuse_at == len(self.seen):
            self.refused_call = self.seen[-1]
            content = {"error": {"code": "Conflict", "message": "Another operation is under way."}}
            where = re.escape(str(asked.url).partition("://")[2].partition("?")[0])
            self.azure.world.fault(str(asked.method), f"{where}$", 409, content=content, times=1)

    def answered(self) -> None:
        self.look()
        if self.kill_after and len(self.seen) == self.kill_after:
            self.dead = True
            raise Killed

    def look(self) -> None:
        """Whether the live group, where it runs, accepts what clients have and what Key Vault names as primary."""
        live = [group for group in self.azure.world.groups.values() if group.name == self.label and group.state == "Running"]
        for group in live:
            wanted = {*self.held, self.vault()["primary"]}
            if not wanted <= group.keys:
                self.refused.append(f"after {self.seen[-1:]}")

    def vault(self) -> dict[str, str]:
        return dict(json.loads(self.azure.world.vault[self.secret][-1]["value"]))


def counted_calls(made: Calls, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """The calls of all clients from now on, counted by `made`."""
    send = requests.Session.send

    def counted(session: requests.Session, asked: requests.PreparedRequest, **more: Any) -> requests.Response:
        url = str(asked.url).partition("?")[0]
        changes = asked.method not in ("GET", "HEAD") and not any(read in url.lower() for read in READS)
        if made.dead:
            raise Killed
        if changes:
            made.count(str(asked.method), url.partition("/providers/")[2] or url.partition("net/")[2])
            made.refuse(asked)
        answer = send(session, asked, **more)
        if changes:
            made.answered()
        return answer

    monkeypatch.setattr(requests.Session, "send", counted)
    return made


@pytest.fixture
def calls(azure: Loopback, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Calls:
    return counted_calls(Calls(azure, f"killed-{abs(hash(request.node.name)) % 10**8}"), monkeypatch)


def without_smoke(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is played scores nothing: a promotion asks it for its release alone."""

    def assertions(url: str, release: Release, keys: Any) -> tuple[Assertion, ...]:
        from pushline.serving.client import Client

        seen = Client(url).get("/readyz").headers.get("x-release", "")
        return (Assertion(name="it is this release", expected=release.id, seen=seen, passed=seen == release.id),)

    monkeypatch.setattr(stages, "assertions_on", assertions)


@pytest.fixture
def world(
    azure: Loopback, aci: Project, calls: Calls, model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Callable[[], AciTarget], Registry]]:
    azure.world.light = True
    monkeypatch.setattr("pushline.azure.groups.LOOK_S", 0.02)
    monkeypatch.setattr("pushline.azure.groups.SETTLE_S", 0.2)
    for name, value in azure.reach().items() | azure.as_job().items():
        monkeypatch.setenv(name, value)
    without_smoke(monkeypatch)
    images: dict[str, str] = {}

    def image(project: Project, release: Release, *more: Any) -> str:
        """Built once for a release: packing the context again each time is most of the time."""
        return images.get(release.id) or images.setdefault(release.id, scoring_image(project, release, *more))

    monkeypatch.setattr("pushline.azure.endpoint.scoring_image", image)
    settings = load_settings(aci.root, {**azure.settings(), **QUICK, "PUSHLINE_AZURE__LABEL": calls.label})
    one = AciTarget(aci, settings)

    def target() -> AciTarget:
        """As a new process has it; what it only reads of the workspace is kept."""
        made = AciTarget(aci, settings)
        made.cloud = one.cloud
        return made

    yield target, Registry(calls, model)
    calls.dead, calls.kill_after = False, 0
    azure.world.faults.clear()
    target().stop(silent)
    for key in [key for key, group in azure.world.groups.items() if group.name.startswith(calls.label)]:
        azure.world.groups.pop(key)


def evidence(target: Target, release: Release) -> tuple[DeployResult, SmokeResult, LoadTestResult]:
    candidate = target.deploy_candidate(release, silent)
    deployed = DeployResult(target=target.name, url=candidate.url, release=release)
    smoked = SmokeResult(url=candidate.url, release=release.id, assertions=(), passed=True)
    figures = dict.fromkeys(("offered_rps", "achieved_rps", "seconds", "requests", "failures", "p50_ms", "p95_ms", "p99_ms", "max_ms"), 0)
    nothing: dict[str, Any] = {"errors": {}, "timeline": (), "breaches": (), "passed": True}
    return deployed, smoked, LoadTestResult(url=candidate.url, release=release.id, **figures, **nothing)


def prepared(target: Target, registry: Registry, model: Path, command: str) -> tuple[DeployResult, SmokeResult, LoadTestResult] | None:
    """Version 1 live and 2 beside it; for the others 2 live, 1 before it, and 3 beside it."""
    stages.promote(*evidence(target, release_of(model, 1)), registry, target, PushlineSettings(), progress=silent)  # type: ignore[arg-type]
    proof = evidence(target, release_of(model, 2))
    if command == "promote":
        return proof
    stages.promote(*proof, registry, target, PushlineSettings(), progress=silent)  # type: ignore[arg-type]
    evidence(target, release_of(model, 3))
    return None


def execute(target: Target, registry: Registry, command: str, proof: Any) -> None:
    if command == "promote":
        stages.promote(*proof, registry, target, PushlineSettings(), progress=silent)  # type: ignore[arg-type]
    elif command == "rollback":
        stages.plan_of_roll_back(target, registry)  # type: ignore[arg-type]
        stages.roll_back(registry, target, progress=silent)  # type: ignore[arg-type]
    elif command == "rotate":
        target.rotate_keys(silent)
    elif command == "withdraw":
        target.withdraw(silent)
    else:
        target.stop(silent)


def truth(calls: Calls, target: AciTarget, registry: Registry) -> dict[str, Any]:
    """What is so at the end, without what differs from one run to the next."""
    status, state = target.status(), target.record.read()
    groups = [group for group in calls.azure.world.groups.values() if group.name.startswith(calls.label)]
    return {
        "live": status.live and (status.live.release.id, status.live.ready),
        "candidate": status.candidate and (status.candidate.release.id, status.candidate.ready),
        "previous": status.previous and status.previous.id,
        "notes": status.notes,
        "history": [each.release.id for each in state.history],
        "planned": state.planned,
        "groups": sorted((group.name, group.state, group.release) for group in groups),
        "champion": registry.role,
        "keys": all(set(calls.vault().values()) == group.keys for group in groups if group.state == "Running"),
    }


@pytest.fixture
def start(
    world: tuple[Callable[[], AciTarget], Registry], calls: Calls, model: Path
) -> Callable[[str], tuple[Registry, Callable[[], AciTarget], Any]]:
    """Bring all to where a command begins, by hand the first time and as it was then later; it begins with its first call."""
    target, registry = world
    azure, before = calls.azure.world, {}

    def ours(held: dict[str, Any]) -> dict[str, Any]:
        return {key: copy.copy(each) for key, each in held.items() if f"/containergroups/{calls.label}" in key}

    def begin(command: str) -> tuple[Registry, Callable[[], AciTarget], Any]:
        calls.dead, calls.kill_after, calls.held = False, 0, set()
        azure.faults.clear()
        if not before:
            proof = prepared(target(), registry, model, command)
            before.update(groups=ours(azure.groups), resources=ours(azure.resources), vault=list(azure.vault[calls.secret]), proof=proof)
            before.update(state=target().record.read(), role=registry.role)
        for held, kept in ((azure.groups, before["groups"]), (azure.resources, before["resources"])):
            for key in ours(held):
                held.pop(key)
            held.update(ours(kept))
        azure.hosts.update(group.fqdn for group in before["groups"].values())
        azure.vault[calls.secret] = list(before["vault"])
        record = target().record
        record.read()
        record.write(before["state"])
        registry.role = before["role"]
        calls.held = {calls.vault()["primary"]}
        calls.seen.clear()
        return registry, target, before["proof"]

    return begin


@pytest.mark.parametrize("command", COMMANDS)
def test_killed_after_any_call_and_run_again_it_ends_as_an_undisturbed_one(calls: Calls, start: Any, command: str) -> None:
    registry, target, proof = start(command)
    execute(target(), registry, command, proof)
    wanted, undisturbed = truth(calls, target(), registry), list(calls.seen)
    assert wanted["keys"]
    assert not wanted["notes"] or command == "stop"
    for number in range(1, len(undisturbed) + 1):
        registry, target, proof = start(command)
        calls.kill_after = number
        with pytest.raises(Killed):
            execute(target(), registry, command, proof)
        assert calls.seen == undisturbed[:number]
        calls.dead, calls.kill_after = False, 0
        target().status()  # looks, and changes nothing
        if command in ("rollback", "rotate") and number == len(undisturbed):
            assert truth(calls, target(), registry) == wanted  # it was done: once more would be another one
        elif command != "withdraw":  # that is no command: promote is, and it says that its candidate is gone
            execute(target(), registry, command, proof)
            assert truth(calls, target(), registry) == wanted, f"killed after call {number}: {undisturbed[number - 1]}"
        assert calls.refused == [], f"killed after call {number}: {undisturbed[number - 1]}"


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_with_any_call_refused_and_run_again_it_ends_as_an_undisturbed_one(calls: Calls, start: Any, command: str) -> None:
    registry, target, proof = start(command)
    execute(target(), registry, command, proof)
    wanted, undisturbed = truth(calls, target(), registry), list(calls.seen)
    for number, call in enumerate(undisturbed):
        if call.startswith("CROWN"):
            continue
        registry, target, proof = start(command)
        calls.refuse_at = number + 1
        ended = False
        with contextlib.suppress(PushlineError):
            execute(target(), registry, command, proof)
            ended = True
        calls.refuse_at = 0
        if not ended:
            execute(target(), registry, command, proof)
        assert truth(calls, target(), registry) == wanted, f"refused call {number + 1}: {call}"
        assert calls.refused == [], f"refused call {number + 1}: {call}"
