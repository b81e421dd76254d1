"""Pipeline files: load one, run it here, publish it, start it from outside, schedule it."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushline.pipelines.published import Version
    from pushline.pipelines.runs import Run
    from pushline.pipelines.schedule import Schedule
    from pushline.project import Project
    from pushline.results import Scalar
    from pushline.settings import PushlineSettings


class Publisher(Protocol):
    """Who keeps published pipelines."""

    def publish(self, name: str) -> "tuple[Version, bool]":
        """Make the next version of a pipeline and the default of it; False where the newest already holds the same."""


class Consumer(Protocol):
    """Who starts published pipelines from outside."""

    def start(self, name: str, inputs: "Mapping[str, Scalar]", version: int | None) -> "Run": ...
    def run(self, run: str) -> "Run": ...
    def cancel(self, run: str) -> "Run": ...
    def follow(self, run: str, tell: "Callable[[str], None]") -> "Run":
        """Tell what goes on until the run has ended."""


class Schedules(Protocol):
    """Who starts pipelines at their time."""

    def schedule(self, pipeline: str, cron: str | None) -> "Schedule":
        """Set when a pipeline runs by itself, or without `cron` only say it."""


def open_publisher(project: "Project", settings: "PushlineSettings") -> Publisher:
    """Where the target of the settings keeps published pipelines."""
    if settings.target == "aci":
        raise not_on_azure("publish")
    from pushline.pipelines.published import PublishedPipelines

    training = {name: getattr(settings.training, name) for name in settings.training.__struct_fields__}
    return PublishedPipelines(project, {**training, "budget": settings.training.local_budget})


def open_consumer(project: "Project", settings: "PushlineSettings", url: str | None) -> Consumer:
    """The REST interface of published pipelines: at `url`, or where the target of the settings has it."""
    if settings.target == "aci" and url is None:
        raise not_on_azure("consume")
    from pushline.pipelines.client import client_of

    return client_of(project, url)


def open_schedules(project: "Project", settings: "PushlineSettings") -> Schedules:
    """Where the target of the settings keeps schedules."""
    if settings.target == "aci":
        raise not_on_azure("schedule")
    from pushline.pipelines.schedule import WorkflowSchedules

    return WorkflowSchedules(project)


def not_on_azure(command: str) -> Exception:
    from pushline.errors import SettingsError

    return SettingsError(
        f"`pushline {command}` has no Azure side here.",
        why="target is aci, and published pipelines of this version live on this machine.",
        do="Run it with PUSHLINE_TARGET=local.",
    )
