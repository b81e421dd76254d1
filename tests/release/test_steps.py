"""A promotion by steps: real releases, real requests, and candidates that are worse in one thing each."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from models_made import release_of
from pushline.errors import CandidateWorse, TargetError
from pushline.progress import silent
from pushline.release.local import LocalTarget
from pushline.release.steps import climb, worse
from pushline.release.target import Endpoint
from pushline.release.traffic import RequestCounts
from pushline.serving.model_folder import SCORING
from pushline.settings import Load, PromotionSteps, ReplayLimits
from signed import signed

from .conftest import ReleaseOf, body_of, deliver
from .hammer import Hammer

QUICK = PromotionSteps(steps=(5, 50, 100), requests=50, seconds=1, mirror=0.5)
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.25, math.inf)


def counts(requests: int, *, failures: int = 0, typical: int = 1, yes: float = 0.1, middle: float = 0.5, **more: float) -> RequestCounts:
    """A release whose answers take up to BOUNDS[typical] seconds, `yes` of which are yes; `middle` of the scores are below 0.5."""
    times = {bound: requests if place >= typical else 0 for place, bound in enumerate(BOUNDS)}
    answers = {"no": int(requests * (1 - yes)), "yes": int(requests * yes)}
    scores = {0.5: int(requests * middle), math.inf: requests}
    counted = {"requests": requests, "failures": failures, "rows": requests, "times": times, "answers": answers, "scores": scores, **more}
    return msgspec.convert(counted, RequestCounts)


def judged(live: RequestCounts, candidate: RequestCounts) -> str:
    return worse(live, candidate, slo=Load(), limits=ReplayLimits(), rules=PromotionSteps(), alpha=0.003)


LIVE = counts(20_000, failures=2)
WORSE = {
    "1.50% of its requests failed": counts(200, failures=3),
    "100% of its answers took more than 1 ms": counts(100, typical=4),
    "slower than the 250 ms": counts(200, typical=6),
    "the share of yes went from": counts(600, yes=0.3),
    "its scores are distributed otherwise": counts(200, middle=0.99),
    "it grew by 90 MB": counts(200, memory=90_000_000),
    "of its answers to the same rows clearly differ": counts(200, compared=200, flipped=60),
}


@pytest.mark.parametrize("cause", WORSE)
def test_what_is_worse_beyond_chance_is_named(cause: str) -> None:
    assert cause in judged(LIVE, WORSE[cause])


def test_a_candidate_that_does_as_the_live_release_does_is_not_worse() -> None:
    same = counts(200, compared=200, flipped=4)
    assert judged(LIVE, same) == ""
    assert judged(LIVE, RequestCounts()) == ""
    assert judged(RequestCounts(), RequestCounts()) == ""
    assert judged(counts(20_000, failures=400), counts(200, failures=4)) == ""


@pytest.fixture
def beside(local: LocalTarget, release: ReleaseOf) -> Iterator[tuple[Endpoint, Endpoint, Hammer]]:
    """A live release that is asked, and a candidate."""
    live = deliver(local, release(1))
    candidate = local.deploy_candidate(release(2), silent)
    with Hammer(live.url, body_of(live.release), local.keys().primary, kept=6, fresh=2, rate=800) as hammer:
        yield live, candidate, hammer


def up(local: LocalTarget, candidate: Endpoint, limits: ReplayLimits | None = None) -> tuple[float, ...]:
    steps = climb(local, candidate, QUICK, Load(), limits or ReplayLimits(odds=1e9, distance=1, flips=1), silent)
    return tuple(step.share for step in steps)


@pytest.mark.slow
def test_requests_are_shared_step_by_step_and_none_is_lost(local: LocalTarget, beside: tuple[Endpoint, Endpoint, Hammer]) -> None:
    _, candidate, hammer = beside
    assert up(local, candidate) == (0.05, 0.5)
    assert 0 < hammer.seen["v2-test"] < hammer.seen["v1-test"]
    hammer.wait_for(50)  # what was on its way as the split ended
    hammer.seen.clear()
    hammer.wait_for(200)
    assert set(hammer.seen) == {"v1-test"}  # the split ended with its block
    local.promote(candidate, silent)
    hammer.wait_for(200)
    assert hammer.failures == []


@pytest.mark.slow
def test_a_candidate_that_is_killed_or_hangs_while_it_answers_costs_no_request(
    local: LocalTarget, beside: tuple[Endpoint, Endpoint, Hammer]
) -> None:
    _, candidate, hammer = beside
    slot = local.record.read().candidate
    assert slot is not None
    assert slot.process is not None
    supervisor = psutil.Process(slot.process.pid)
    with local.split(candidate, silent) as split:
        split.give(0.5, mirror=0.5)
        hammer.wait_for(200)
        [worker] = supervisor.children()
        worker.suspend()
        hammer.wait_for(100)
        supervisor.kill()
        worker.kill()
        hammer.wait_for(200)
        with pytest.raises(TargetError, match="has ended while it answered"):
            split.counts()
    hammer.wait_for(100)
    assert hammer.failures == []
    assert hammer.seen["v2-test"] > 20


@pytest.mark.slow
def test_a_candidate_whose_answers_moved_goes_back_with_its_cause_and_stays_a_candidate(
    local: LocalTarget, beside: tuple[Endpoint, Endpoint, Hammer], release: ReleaseOf, tmp_path: Path
) -> None:
    live, _, hammer = beside
    folder = Path(shutil.copytree(release(2).model, tmp_path / "model"))
    scoring = json.loads((folder / SCORING).read_bytes())
    (folder / SCORING).write_text(json.dumps({**scoring, "threshold": 0.0}))
    candidate = local.deploy_candidate(release_of(signed(folder), 3), silent)
    with pytest.raises(CandidateWorse) as refused:
        up(local, candidate, ReplayLimits(odds=10))
    assert "the share of yes went from 0.0% to 100.0%" in refused.value.why
    hammer.wait_for(50)  # what was on its way as the split ended
    hammer.seen.clear()
    hammer.wait_for(200)
    assert set(hammer.seen) == {"v1-test"}
    found = local.status()
    assert (found.live, found.candidate) == (live, candidate)
    assert hammer.failures == []


@pytest.mark.slow
def test_where_nobody_asks_there_is_no_step(local: LocalTarget, release: ReleaseOf) -> None:
    deliver(local, release(1))
    said: list[str] = []
    candidate = local.deploy_candidate(release(2), silent)
    assert climb(local, candidate, QUICK, Load(), ReplayLimits(), said.append) == ()
    assert "No request reached v1-test" in said[0]
