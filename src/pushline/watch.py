"""`pushline watch`: does the live release answer as it must, is it asked what it was trained for, and does it keep its promise?"""

import os
import time
from pathlib import Path
from typing import Literal

from pushline.data.profile.drift import Drift
from pushline.data.profile.recorded import LIVE
from pushline.delivery import Delivery
from pushline.errors import DataUnavailable, PushlineError
from pushline.performance.performance import PerformanceResult
from pushline.results import Assertion, Part

ASKED = 4  # requests that are scored at least where a release is asked what it must answer
WRITTEN_S = 5.0  # within which the service writes what it was asked
CHANCE = 1e-3  # that none of them is kept, by serving.record

Cause = Literal["release", "log", "inputs", "performance"]


class WatchResult(Part, frozen=True, kw_only=True):
    """What was seen of the live release, of its log, of its inputs and of what it does."""

    target: str
    release: str | None
    url: str | None
    # gone: a version was released, and nothing answers. ended with its job: a local release on a machine of GitHub's.
    health: Literal["well", "wrong", "gone", "nothing released", "ended with its job"]
    assertions: tuple[Assertion, ...]
    problem: str  # why it could not be asked
    without_keys: bool  # who watches may not read the keys, and asked only what needs none
    # ended: requests are answered and none is written. off: the setting serving.record keeps none, or too few to tell.
    log: Literal["kept", "ended", "unreadable", "off", "not looked at"]
    drift: Literal["stable", "drift", "too few rows", "nothing recorded", "not looked at"]
    drifted: tuple[str, ...]
    recorded_rows: int
    performance: PerformanceResult | None
    untold: str  # why performance could not be told

    @property
    def wrong(self) -> tuple[Cause, ...]:
        """What is an alarm."""
        faults: dict[Cause, bool] = {
            "release": self.health in ("wrong", "gone"),
            "log": self.log in ("ended", "unreadable"),
            "inputs": self.drift == "drift",
            "performance": bool(self.performance and self.performance.alarms),
        }
        return tuple(cause for cause, fault in faults.items() if fault)

    @property
    def well(self) -> tuple[Cause, ...]:
        """What was looked at and is as it must be: nothing less ends an alarm."""
        judged = self.performance and any(one.verdict != "too few rows" for one in self.performance.series[0].windows)
        seen: dict[Cause, bool] = {
            "release": self.health == "well",
            "log": self.log == "kept",
            "inputs": self.drift == "stable",
            "performance": bool(judged),
        }
        return tuple(cause for cause, one in seen.items() if one and cause not in self.wrong)

    @property
    def decay(self) -> str:
        """What outcomes say of a champion that has to be made again; empty where they don't."""
        alarms = self.performance.alarms if self.performance else ()
        return next((alarm.what for alarm in alarms if alarm.action == "retrain"), "")


def watch(delivery: Delivery) -> WatchResult:
    """Ask the live release the smoke assertions, and hold what it logged against the profile and the promise. Changes no release.

    On Azure the identity that watches on a schedule waits for nobody's approval, so it can't read the keys: it asks what needs none.
    """
    from pushline.github.actions import hosted
    from pushline.release.smoke import assertions_on, assertions_without_keys, passed
    from pushline.release.stages import located
    from pushline.release.target import KeysWithheld

    target = delivery.target()
    elsewhere = target.name == "local" and hosted()  # whatever is on record ended with the job that started it
    live = None if elsewhere else target.status().live
    here = target.name == "local" and not elsewhere
    seen: tuple[Assertion, ...] = ()
    problem, without_keys = "", False
    before = bytes_of(delivery.project.state / LIVE)
    if live is not None:
        delivery.progress(f"Asking {live.url}.")
        try:
            keys = target.keys()
            seen = assertions_on(live.url, located(live.release, delivery.store()), keys)
        except KeysWithheld:
            seen, without_keys = assertions_without_keys(live.url), True
        except PushlineError as error:
            problem = str(error)
    answers = live is not None and not problem and passed(seen)
    log = log_of(delivery, before) if here and answers else "unreadable" if here and before is None else "not looked at"
    drift = drift_of(delivery) if log != "unreadable" else None
    performance, untold = performance_of(delivery) if here and drift else (None, "")
    health: Literal["well", "wrong", "gone", "nothing released", "ended with its job"] = "well" if answers else "wrong"
    if elsewhere:
        health = "ended with its job"
    elif live is None:
        health = "gone" if delivery.store().champion() else "nothing released"
    return WatchResult(
        target=target.name,
        release=live.release.id if live else None,
        url=live.url if live else None,
        health=health,
        assertions=seen,
        problem=problem,
        without_keys=without_keys,
        log=log,
        drift=drift.verdict if drift else "nothing recorded" if here else "not looked at",
        drifted=drift.drifted if drift else (),
        recorded_rows=drift.rows if drift else 0,
        performance=performance,
        untold=untold,
    )


def bytes_of(log: Path) -> int | None:
    """How much is logged; None where it may not be read."""
    try:
        files = [Path(entry) for entry in os.scandir(log) if entry.name.endswith(".jsonl")] if log.is_dir() else []
        for file in files:
            file.open("rb").close()
        return sum(file.stat().st_size for file in files)
    except OSError:
        return None


def log_of(delivery: Delivery, before: int | None) -> Literal["kept", "ended", "unreadable", "off"]:
    """Whether what was just asked is written within WRITTEN_S."""
    if (1 - delivery.settings.serving.record) ** ASKED > CHANCE:
        return "off"
    until = time.monotonic() + WRITTEN_S
    while before is not None and (now := bytes_of(delivery.project.state / LIVE)) is not None:
        if now > before:
            return "kept"
        if time.monotonic() > until:
            return "ended"
        time.sleep(0.05)
    return "unreadable"


def drift_of(delivery: Delivery) -> Drift | None:
    from pushline.data.profile.drift import drift_of_recorded

    try:
        return drift_of_recorded(delivery.project, delivery.contract())
    except DataUnavailable:
        return None


def performance_of(delivery: Delivery) -> tuple[PerformanceResult | None, str]:
    """What the champion does, or why that can't be told."""
    from pushline.performance.performance import performance

    try:
        return performance(delivery), ""
    except PushlineError as error:
        return None, " ".join(str(error).split())
