"""Pipeline files: `runner/` loads and runs them here, `service/` publishes them for others to start, `steps/` are the programs they run,
`schedule.py` is when they run by themselves."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pushline.azure.published import AzurePipelines
    from pushline.pipelines.schedule import Schedule
    from pushline.pipelines.service.published import Version
    from pushline.pipelines.service.runs import Run
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
    def follow(self, run: str, progress: "Callable[[str], None]") -> "Run":
        """Tell what goes on until the run has ended."""


class Schedules(Protocol):
    """Who starts pipelines at their time."""

    def schedule(self, pipeline: str, cron: str | None) -> "Schedule":
        """Set when a pipeline runs by itself, or without `cron` only say it."""


def open_publisher(project: "Project", settings: "PushlineSettings") -> Publisher:
    """Where the target of the settings keeps published pipelines."""
    if settings.on_azure:
        return on_azure(project, settings)
    from pushline.pipelines.service.published import PublishedPipelines

    return PublishedPipelines(project, {**training_of(project, settings), "budget": settings.training.local_budget})


def open_consumer(project: "Project", settings: "PushlineSettings", url: str | None) -> Consumer:
    """The REST interface of published pipelines: at `url`, or where the target of the settings has it."""
    if settings.on_azure and url is None:
        return on_azure(project, settings)
    from pushline.pipelines.service.client import client_of

    return client_of(project, url)


def open_schedules(project: "Project", settings: "PushlineSettings") -> Schedules:
    """Where the target of the settings keeps schedules."""
    if settings.on_azure:
        return on_azure(project, settings)
    from pushline.pipelines.schedule import WorkflowSchedules

    return WorkflowSchedules(project)


def training_of(project: "Project", settings: "PushlineSettings") -> "dict[str, Scalar]":
    from pushline.training.stage import metric_of

    said = {name: getattr(settings.training, name) for name in settings.training.__struct_fields__}
    return {**said, "metric": metric_of(project, settings.training)}


def on_azure(project: "Project", settings: "PushlineSettings") -> "AzurePipelines":
    from pushline.azure.published import AzurePipelines

    return AzurePipelines(project, settings, {**training_of(project, settings), "budget": settings.azure.budget})
