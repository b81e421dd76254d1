"""What must be right before a stage touches anything: its flags, the files of the repository, and what the stages before it left.

A command that is refused here leaves every earlier result as it was.
"""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from pushline.delivery import Delivery, refusal_of
from pushline.errors import SettingsError
from pushline.results import CheckDataResult, DeployResult, FetchResult, LoadTestResult, R, RegisterResult, SmokeResult, TrainResult, load


def check(delivery: Delivery, stage: str, coming: Collection[str] = (), **options: Any) -> None:
    """Raises what is wrong. `coming`: the stages that the same command runs before this one."""

    def left_by(kind: type[R]) -> R | None:
        """What the stage of `kind` left; None where it has yet to run."""
        return None if kind.stage in coming else load(delivery.build, kind)

    CHECKS[stage](delivery, left_by, **options)


def fetch(delivery: Delivery, left_by: Any, **options: Any) -> None:
    from pushline.data.sources.lock import load_lock

    load_lock(delivery.project.data_lock)
    delivery.contract()


def check_data(delivery: Delivery, left_by: Any, *, file: Path | None = None, **options: Any) -> None:
    from pushline.data.rules import load_rules

    load_rules(delivery.project.rules, delivery.contract())
    if file is None:
        left_by(FetchResult)


def train(
    delivery: Delivery, left_by: Any, *, budget: str | None = None, keep_best: bool = False, attach: bool = False, **options: Any
) -> None:
    from pushline.training.stage import refuse_unusable, refuse_wrong_names

    if keep_best and delivery.settings.on_azure:
        raise SettingsError(
            "A search in Azure can't be ended with the best model so far.",
            why="It runs there on its own; an interruption here only stops following it.",
            do="Leave --keep-best out, and give it a smaller --budget; `pushline train --cancel` ends it without a model.",
        )
    if attach and not delivery.settings.on_azure:
        raise SettingsError(
            "There is nothing to attach to.", why="Training runs in this process on the local target.", do="Leave --attach out."
        )
    refuse_unusable(delivery.project, delivery.settings, budget)
    refuse_wrong_names(delivery.project, delivery.settings, delivery.contract())
    checked = left_by(CheckDataResult)
    if checked is not None and checked.critical:
        raise refusal_of(checked, delivery.build)


def deploy(delivery: Delivery, left_by: Any, *, version: str | None = None, **options: Any) -> None:
    from pushline.release.stages import accepted

    registered = None if version else left_by(RegisterResult)
    if registered is not None or version:
        accepted(registered, version, delivery.store())


def promote(delivery: Delivery, left_by: Any, **options: Any) -> None:
    from pushline.release.stages import check_evidence

    deployed, smoked, tested = left_by(DeployResult), left_by(SmokeResult), left_by(LoadTestResult)
    if deployed and smoked and tested:
        check_evidence(deployed, smoked, tested)


CHECKS: dict[str, Callable[..., None]] = {
    "fetch": fetch,
    "check-data": check_data,
    "train": train,
    "register": lambda delivery, left_by, **options: left_by(TrainResult),
    "deploy": deploy,
    "smoke": lambda delivery, left_by, **options: left_by(DeployResult),
    "load-test": lambda delivery, left_by, **options: left_by(DeployResult),
    "promote": promote,
}
