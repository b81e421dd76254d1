"""Commands about pipelines as a product: publish them, start them from outside, schedule them."""

from typing import TYPE_CHECKING, Any

import click

from pushline.cli.context import Context, alone, as_json, finish, progress, show
from pushline.cli.sections import Listing

if TYPE_CHECKING:
    from pushline.pipelines.service.published import PublishedPipelines, Version
    from pushline.pipelines.service.runs import Run, Runs


def published_of(context: Context) -> "PublishedPipelines":
    from pushline.pipelines.service.published import PublishedPipelines

    return PublishedPipelines(context.project)


def runs_of(context: Context) -> "Runs":
    from pushline.pipelines.service.runs import Runs

    return Runs(context.project)


@click.command("publish")
@click.argument("pipeline")
@as_json
@alone
def publish(context: Context, pipeline: str, json: bool) -> None:
    """Make a numbered version of a pipeline that others can start.

    It holds pipelines/PIPELINE.yml and never changes.
    """
    from pushline.errors import SettingsError
    from pushline.github.actions import hosted
    from pushline.pipelines import open_publisher

    if hosted() and context.settings.target == "local":
        raise SettingsError(
            "A job can't publish for the target local.",
            why="Its versions are kept below .pushline/ of the machine that publishes, and this one ends with its job.",
            do="Run `pushline publish` where they are served, name a runner of your own (`runner` in [tool.pushline]), or connect Azure, "
            "which keeps them (`pushline docs connect-azure`).",
        )
    version, made = open_publisher(context.project, context.settings).publish(pipeline)
    first = (
        f"published {version.name} version {version.version}" if made else f"unchanged: {version.name} version {version.version} holds this"
    )
    show(version, json, [first, *lines_of_version(version)])


@click.command("consume")
@click.argument("pipeline")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="An input of the pipeline; may be given several times.")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="A version instead of the default one.")
@click.option("--url", metavar="URL", help="A service elsewhere; its key is in the variable PUSHLINE_KEY.")
@click.option("--detach", is_flag=True, help="Start the run and leave it.")
@as_json
def consume(
    context: Context, pipeline: str, settings: tuple[str, ...], version: int | None, url: str | None, detach: bool, json: bool
) -> None:
    """Start a run of a published pipeline and follow it."""
    from pushline.pipelines import open_consumer
    from pushline.pipelines.service.client import verdict

    client = open_consumer(context.project, context.settings, url)
    run = client.start(pipeline, dict(map(pair, settings)), version)
    progress(f"run {run.id}: {run.pipeline} version {run.version}")
    if not detach:
        try:
            run = client.follow(run.id, progress)
        except KeyboardInterrupt:
            progress(f"The run goes on: `pushline pipelines logs {run.id} --follow`, `pushline pipelines cancel {run.id}`.")
            raise
    show(run, json, lines_of_run(run))
    if not detach:
        verdict(run)


def pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--set takes NAME=VALUE, not {text!r}.")
    return name, value


@click.command("retrain")
@click.option("--budget", metavar="TIME", help="AutoML's time, such as 45s, 10m or 2h.")
@as_json
@alone
def retrain(context: Context, budget: str | None, json: bool) -> None:
    """Train on all pinned data and decide; release nothing.

    Champion and challenger meet on old and new hold-out rows apart.
    """
    from pushline.execution import check, execute

    result = None
    stages: dict[str, dict[str, Any]] = {"fetch": {}, "check-data": {}, "train": {"budget": budget, "anew": True}, "register": {}}
    for stage, options in stages.items():
        check(context.delivery, stage, coming=stages, **options)
    for stage, options in stages.items():
        progress(stage)
        result = execute(context.delivery, stage, **options)
    finish(result, json)


@click.command("schedule")
@click.argument("pipeline")
@click.option("--cron", metavar="CRON", help='When, in UTC, such as "17 5 * * 1"; without it the schedule is shown.')
@as_json
def schedule(context: Context, pipeline: str, cron: str | None, json: bool) -> None:
    """Set when a pipeline runs by itself.

    That is the cron line of its workflow.
    """
    from pushline.pipelines import open_schedules

    found = open_schedules(context.project, context.settings).schedule(pipeline, cron)
    changed = f"{found.before} -> {found.cron}; commit it" if found.before != found.cron else found.cron
    show(found, json, [f"{found.pipeline}: {changed} ({found.place})"])


@click.group("pipelines", cls=Listing)
def pipelines() -> None:
    """List, describe, retire and serve published pipelines."""


@pipelines.command("list")
@as_json
def list_(context: Context, json: bool) -> None:
    """List every published version."""
    found = published_of(context).all()
    lines = [f"{one.name} {one.version}{' (default)' if one.default else ''}: {one.status}, {one.made_at:%Y-%m-%d %H:%M}" for one in found]
    show({"pipelines": found}, json, lines or ["No pipeline is published yet: `pushline publish train`."])


@pipelines.command("describe")
@click.argument("pipeline")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="A version instead of the default one.")
@as_json
def describe(context: Context, pipeline: str, version: int | None, json: bool) -> None:
    """Show a version with its inputs."""
    found = published_of(context).version(pipeline, version)
    show(found, json, lines_of_version(found))


@pipelines.command("default")
@click.argument("pipeline")
@click.argument("version", type=click.IntRange(min=1))
@as_json
def default(context: Context, pipeline: str, version: int, json: bool) -> None:
    """Start VERSION from now on where none is named; an older one is a way back."""
    found = published_of(context).make_default(pipeline, version)
    show(found, json, lines_of_version(found))


@pipelines.command("retire")
@click.argument("pipeline")
@click.argument("version", type=click.IntRange(min=1))
@as_json
def retire(context: Context, pipeline: str, version: int, json: bool) -> None:
    """Start VERSION no more."""
    found = published_of(context).retire(pipeline, version)
    show(found, json, lines_of_version(found))


@pipelines.command("runs")
@as_json
def runs(context: Context, json: bool) -> None:
    """List every run, newest first."""
    found = runs_of(context).all()
    lines = [f"{run.id} {run.pipeline} {run.version}: {run.state} {run.step}".rstrip() for run in found]
    show({"runs": found}, json, lines or ["No run was started yet: `pushline consume train`."])


@pipelines.command("run")
@click.argument("run")
@as_json
def run_(context: Context, run: str, json: bool) -> None:
    """Show how a run is going, or how it ended."""
    found = runs_of(context).run(run)
    show(found, json, lines_of_run(found))


@pipelines.command("logs")
@click.argument("run")
@click.option("--follow", is_flag=True, help="Go on with new lines until the run has ended.")
@click.pass_obj
def logs(context: Context, run: str, follow: bool) -> None:
    """Show the log of a run."""
    import time

    known, start = runs_of(context), 0
    while True:
        part = known.log(run, start)
        click.echo(part.text, nl=False)
        if part.ended or (part.next == start and not follow):
            return
        if part.next == start:
            time.sleep(0.5)
        start = part.next


@pipelines.command("cancel")
@click.argument("run")
@as_json
def cancel(context: Context, run: str, json: bool) -> None:
    """Ask a run to end."""
    found = runs_of(context).cancel(run)
    show(found, json, lines_of_run(found))


@pipelines.command("serve")
@click.option("--host", help="Address to listen on; by default the setting pipelines.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any free one; by default pipelines.port.")
@click.pass_obj
def serve(context: Context, host: str | None, port: int | None) -> None:
    """Offer the published pipelines over REST, in the foreground. Runs go on without it."""
    from msgspec import structs

    from pushline.pipelines.service.server import serve as answer

    said = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    settings = structs.replace(context.settings, pipelines=structs.replace(context.settings.pipelines, **said))
    answer(context.project, settings, progress=progress)


@pipelines.command("work", hidden=True)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("alive", type=int)
@click.pass_obj
def work(context: Context, folder: str, alive: int) -> None:
    """Be the process of one run; started by the service, never by hand."""
    import os
    import sys
    from pathlib import Path

    from pushline.pipelines.service.runs import work as do
    from pushline.published_run import run_published

    os.set_inheritable(alive, False)  # the lock says that this process lives, not one it starts
    if not do(Path(folder), context.project, lambda inside: run_published(inside, context.settings), click.echo):
        sys.exit(1)


def lines_of_version(version: "Version") -> list[str]:
    lines = [f"{version.name} version {version.version}: {version.status}{', the default' if version.default else ''}", version.description]
    lines.append(f"from {version.git_revision}, {version.made_at:%Y-%m-%d %H:%M} UTC, content {version.content[:12]}")
    for one in version.inputs:
        value = (
            "must be set" if one.required else f"default {one.default!r}" if isinstance(one.default, str | int | float) else "may be set"
        )
        lines.append(f"  {one.name} ({one.type}, {value}): {one.description}")
    return lines


def lines_of_run(run: "Run") -> list[str]:
    lines = [
        f"{run.id}: {run.pipeline} version {run.version} {run.state}{', being cancelled' if run.cancelling else ''} {run.step}".rstrip()
    ]
    lines += [f"  {name} = {value}" for name, value in run.inputs.items()]
    lines += [f"{name}: {value}" for name, value in run.result.items()]
    lines += [f"{name}: {path}" for name, path in run.outputs.items()]
    if run.error:
        lines += [line for line in (run.error.what, run.error.why, run.error.do) if line]
    return lines


COMMANDS = [publish, consume, retrain, schedule, pipelines]
