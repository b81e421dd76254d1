"""Twelve faults of a new release, each planted in a model or in its code, and stopped by the real commands with its cause."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from command import QUICK, Ran, clean_environment, run_cli
from pushline.data.contract import parse_contract
from pushline.progress import silent
from pushline.project import Project
from pushline.registry import open_store
from pushline.registry.store import ModelStore
from pushline.release.local import LocalTarget
from pushline.release.target import Endpoint
from pushline.results import DeployResult, LoadTestResult, RegisterResult, Release, SmokeResult, load, save
from pushline.serving.model_folder import SCORING
from pushline.settings import load_settings
from registry.models import log, make_model, shops, trained
from signed import signed
from working_copy import copy_project

from .hammer import Hammer

pytestmark = pytest.mark.slow  # a live release that is asked all the time, and twelve challengers

COLUMNS: list[dict[str, Any]] = [
    {"name": "basket", "type": "number", "minimum": 0, "maximum": 1000, "missing_at_most": 0.5},
    {"name": "visits", "type": "integer", "minimum": 0, "maximum": 100},
    {"name": "channel", "type": "string", "allowed": ["web", "shop", "phone"]},
    {"name": "outcome", "type": "string", "role": "label", "allowed": ["left", "bought"]},
]
CONTRACT = parse_contract({"name": "shops", "positive": "bought", "columns": COLUMNS})
STEPS = {"PUSHLINE_PROMOTE__REQUESTS": "1500", "PUSHLINE_PROMOTE__WAIT": "30"}  # the first step has its 30 seconds
PLANTED = Path(__file__).parent / "planted"

Spoilt = Callable[[pd.DataFrame], pd.DataFrame]


def table(rows: int, seed: int) -> pd.DataFrame:
    """Shops in which a basket is missing now and then, and those who bought leave it out more often."""
    frame = shops(rows, seed)
    missing = np.random.default_rng(seed).random(rows) < np.where(frame["outcome"] == "bought", 0.3, 0.05)
    return frame.assign(basket=frame["basket"].mask(missing))


@dataclass
class World:
    """A project whose live release is asked all the time."""

    project: Project
    place: Path
    store: ModelStore
    target: LocalTarget
    env: dict[str, str]
    hammer: Hammer

    def run(self, *arguments: str, **env: str) -> Ran:
        return run_cli(self.project, *arguments, env={**self.env, **env})

    def version(self, model: Path) -> str:
        """The number of an accepted version."""
        return self.store.register(log(self.store, model), {"accepted": "true", "reason": "it is better"}).version

    def candidate(self, model: Path) -> DeployResult:
        """A candidate of the model, with the proofs that promote asks for."""
        number = self.version(model)
        release = Release(id=f"v{number}-test", model_name="model", model_version=number, git_revision="test", model=str(model))
        endpoint = self.target.deploy_candidate(release, silent)
        deployed = DeployResult(target="local", url=endpoint.url, release=endpoint.release)
        of_candidate = {"url": endpoint.url, "release": release.id, "passed": True}
        figures = dict.fromkeys(("offered_rps", "achieved_rps", "seconds", "p50_ms", "p95_ms", "p99_ms", "max_ms"), 1.0)
        smoked = SmokeResult(**of_candidate, assertions=())
        tested = LoadTestResult(**of_candidate, **figures, requests=1, failures=0, errors={}, timeline=(), breaches=())
        for result in (deployed, smoked, tested):
            save(self.project.build, result)
        return deployed


@pytest.fixture(scope="module")
def world(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("faults")
    (place / "project").mkdir()
    project = copy_project(repo, place / "project")
    env = {**QUICK, **STEPS, "PUSHLINE_SERVING__RECORD": "1"}
    settings = load_settings(project.root, env)
    store, target = open_store(project, settings), LocalTarget(project, settings)
    table(3000, 99).to_parquet(place / "holdout.parquet", index=False)
    bodies = [
        b'{"data": [%b]}' % row.encode()
        for row in table(1000, 7).drop(columns="outcome").to_json(orient="records", lines=True).splitlines()
    ]
    try:
        world = World(project, place, store, target, env, None)  # type: ignore[arg-type]
        first = world.candidate(make_model(place / "champion", table(6000, 1), contract=CONTRACT))
        live = target.promote(Endpoint(release=first.release, url=first.url), silent)
        store.set_champion_alias(first.release.model_version)
        with Hammer(live.url, bodies, target.keys().primary, kept=6, fresh=2, rate=500) as hammer:
            world.hammer = hammer
            hammer.wait_for(500)
            yield world
            assert hammer.failures == []  # whatever was planted, no client has noticed
    finally:
        target.stop(silent)


# Faults of a model: replay, before the approval


def threshold_ignored(model: Path) -> Path:
    scoring = json.loads((model / SCORING).read_bytes())
    (model / SCORING).write_text(json.dumps({**scoring, "threshold": 0.02}))
    return signed(model)


MIXED = {"shop": "web", "web": "shop", "phone": "phone"}
OTHER = {"left": "bought", "bought": "left"}
MODELS: dict[str, tuple[Spoilt, str]] = {
    "columns swapped": (lambda rows: rows.assign(basket=rows["visits"] * 10.0, visits=rows["basket"].fillna(0) // 10), "basket is"),
    "a unit changed by 1,000": (lambda rows: rows.assign(basket=rows["basket"] / 1000), "basket is"),
    "the label inverted": (lambda rows: rows.assign(outcome=rows["outcome"].map(OTHER)), "of the answers differ clearly"),
    "a category taken for another": (lambda rows: rows.assign(channel=rows["channel"].map(MIXED)), "channel is"),
    "constant answers": (lambda rows: rows.assign(basket=0.0, visits=0, channel="web"), "distributed otherwise"),
    "an old model": (lambda rows: rows.assign(basket=(rows["basket"] * 0.4)), "basket is"),
    "the threshold ignored": (lambda rows: rows, "every decision is counted"),
    "missing values treated otherwise": (lambda rows: rows.assign(basket=rows["basket"].fillna(500)), "basket is empty"),
}  # fmt: skip


@pytest.mark.parametrize("fault", MODELS)
def test_a_faulty_model_is_stopped_by_replay_with_its_cause(world: World, fault: str) -> None:
    spoilt, named = MODELS[fault]
    model = make_model(world.place / fault.replace(" ", "-"), spoilt(table(6000, 2)), contract=CONTRACT)
    if fault == "the threshold ignored":
        threshold_ignored(model)
    save(world.project.build, trained(model, world.place / "holdout.parquet", log(world.store, model)))
    ran = world.run("register", PUSHLINE_PROMOTION__MINIMUM_GAIN="-1")
    assert ran.code == 0, ran.err
    registered = load(world.project.build, RegisterResult)
    assert not registered.decision.accept
    assert registered.replay is not None
    assert registered.replay.source == "requests"
    assert named in " ".join(registered.replay.breaches)


# Faults that show on live requests alone: the first step


CODE = {
    "slow": "of its answers took more than",
    "leak": "it grew by",
    "fail": "of its requests failed",
    "hour": "of its answers to the same rows clearly differ",
}


@pytest.mark.parametrize("fault", CODE)
def test_a_fault_that_shows_on_live_requests_is_stopped_at_one_percent_with_its_cause(world: World, fault: str, tmp_path: Path) -> None:
    begins = tmp_path / "from"
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"PYTHONPATH": str(PLANTED), "PLANTED": fault, "PLANTED_FROM": str(begins)}.items():
            patched.setenv(name, value)
        deployed = world.candidate(make_model(tmp_path / "model", table(6000, 2), contract=CONTRACT))
    begins.touch()
    world.hammer.seen.clear()
    ran = world.run("promote")
    by_release = dict(world.hammer.seen)
    assert ran.code == 1, ran.err
    assert "promote stopped at 1% of the live requests" in ran.err
    assert CODE[fault] in ran.err
    assert by_release.get(deployed.release.id, 0) <= 0.01 * sum(by_release.values()) + 10  # a coin for each request


def test_a_promotion_that_was_killed_in_a_step_begins_again_and_an_honest_release_goes_all_the_way(world: World) -> None:
    deployed = world.candidate(make_model(world.place / "honest", table(6000, 3), contract=CONTRACT))
    quick = {"PUSHLINE_PROMOTE__REQUESTS": "50", "PUSHLINE_PROMOTE__SECONDS": "2"}
    command = [sys.executable, "-m", "pushline", "promote"]
    environment = clean_environment({**world.env, "PUSHLINE_PROMOTE__SECONDS": "60"})
    with subprocess.Popen(command, cwd=world.project.root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        until = time.monotonic() + 60
        while deployed.release.id not in world.hammer.seen:
            assert time.monotonic() < until
            world.hammer.wait_for(10)
        killed.kill()
    world.hammer.wait_for(100)
    world.hammer.seen.clear()
    world.hammer.wait_for(200)
    assert deployed.release.id not in world.hammer.seen
    ran = world.run("promote", "--json", **quick)
    assert ran.code == 0, ran.err
    assert [step["share"] for step in json.loads(ran.out)["steps"]] == [0.01, 0.1, 0.5]
    world.hammer.wait_for(100)
    world.hammer.seen.clear()
    world.hammer.wait_for(100)
    assert set(world.hammer.seen) == {deployed.release.id}
