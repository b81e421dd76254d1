"""`pushline watch`: does the live release answer as it must, and is it asked what it was trained for?"""

from typing import Literal

from pushline.delivery import Delivery
from pushline.errors import DataUnavailable, PushlineError
from pushline.results import Assertion, Part


class WatchResult(Part, frozen=True, kw_only=True):
    """What was seen of the live release and of its inputs."""

    target: str
    release: str | None
    url: str | None
    # gone: a version was released, and nothing answers. ended with its job: a local release on a machine of GitHub's.
    health: Literal["well", "wrong", "gone", "nothing released", "ended with its job"]
    assertions: tuple[Assertion, ...]
    problem: str  # why it could not be asked
    without_keys: bool  # who watches may not read the keys, and asked only what needs none
    drift: Literal["stable", "drift", "too few rows", "nothing recorded", "not looked at"]
    drifted: tuple[str, ...]
    recorded_rows: int

    @property
    def wrong(self) -> bool:
        return self.health in ("wrong", "gone") or self.drift == "drift"

    @property
    def seen_well(self) -> bool:
        """A release was asked and answered as it must: nothing less ends an alarm."""
        return self.health == "well" and not self.wrong


def watch(delivery: Delivery) -> WatchResult:
    """Ask the live release the smoke assertions, and hold the inputs it recorded against the profile. Changes nothing.

    On Azure the identity that watches on a schedule waits for nobody's approval, so it can't read the keys: it asks what needs none.
    """
    from pushline.data.profile.watch import drift_of_recorded
    from pushline.github.actions import hosted
    from pushline.release.smoke import assertions_on, assertions_without_keys, passed
    from pushline.release.stages import located
    from pushline.release.target import KeysWithheld

    target = delivery.target()
    elsewhere = target.name == "local" and hosted()  # whatever is on record ended with the job that started it
    live = None if elsewhere else target.status().live
    seen: tuple[Assertion, ...] = ()
    problem, without_keys = "", False
    if live is not None:
        delivery.progress(f"Asking {live.url}.")
        try:
            keys = target.keys()
            seen = assertions_on(live.url, located(live.release, delivery.store()), keys)
        except KeysWithheld:
            seen, without_keys = assertions_without_keys(live.url), True
        except PushlineError as error:
            problem = str(error)
    try:
        drift = drift_of_recorded(delivery.project, delivery.contract())
    except DataUnavailable:
        drift = None
    health: Literal["well", "wrong", "gone", "nothing released", "ended with its job"] = "wrong"
    if elsewhere:
        health = "ended with its job"
    elif live is None:
        health = "gone" if delivery.store().champion() else "nothing released"
    elif not problem and passed(seen):
        health = "well"
    return WatchResult(
        target=target.name,
        release=live.release.id if live else None,
        url=live.url if live else None,
        health=health,
        assertions=seen,
        problem=problem,
        without_keys=without_keys,
        drift=drift.verdict if drift else "not looked at" if elsewhere or target.name != "local" else "nothing recorded",
        drifted=drift.drifted if drift else (),
        recorded_rows=drift.rows if drift else 0,
    )
