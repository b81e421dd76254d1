"""The command that runs all stages, and those that show what they left."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.context import Context, alone, as_json, show

if TYPE_CHECKING:
    from pushline.project import Project
    from pushline.run import RunResult
    from pushline.settings import PushlineSettings


@click.command("run")
@click.option("--sample-if-offline", is_flag=True, help="Where the data can't be had, say so and go on with generated rows.")
@click.option("--sample", is_flag=True, help="Generated rows, whether the data can be had or not: a rehearsal.")
@click.option("--budget", metavar="TIME", help="AutoML's time, such as 45s, 10m or 2h; overrides the pipeline's limits.")
@click.option("--from", "first", metavar="STAGE", default="fetch", show_default=True, help="Begin here, with what earlier stages left.")
@as_json
@alone
def run(context: Context, sample_if_offline: bool, sample: bool, budget: str | None, first: str, json: bool) -> None:
    """Run every stage, from the data to the promoted release."""
    from pushline.cli.display import display_for, print_table
    from pushline.delivery import Delivery
    from pushline.github import actions
    from pushline.report.cautions import cautions_of
    from pushline.report.states import states_of
    from pushline.report.summary import summary_of_run
    from pushline.run import outcome, refuse
    from pushline.run import run as run_stages

    options: dict[str, Any] = {"fetch": {"sample_if_offline": sample_if_offline, "sample": sample}, "train": {"budget": budget}}
    display = display_for(first, context.project.build)
    delivery = Delivery(context.project, context.settings, display.progress, tied_to=os.getpid())
    refuse(delivery, first=first, **options)
    try:
        with display:
            run_stages(delivery, display, first=first, **options)
    finally:
        ran = outcome(delivery)
        states = states_of(delivery.build)
        actions.summarise(summary_of_run(states, cautions_of(states, delivery.build)))
        if not json:
            print_table(ran)
        cautions = [click.style(f"warning: {caution}", fg="yellow") for caution in ran.cautions]  # last, where nobody overlooks them
        show(ran, json, [*next_steps(context.project, ran, context.settings), *cautions])


def next_steps(project: "Project", ran: "RunResult", settings: "PushlineSettings") -> list[str]:
    """Where to look next."""
    port = settings.serving.port if settings.target == "local" else 0
    registry = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{near(project.state / 'mlflow.db')}"
    steps = [("report", near(Path(ran.report)))] if ran.report else []
    if ran.promoted:
        if ran.url and port and not ran.url.endswith(f":{port}"):
            steps.append(("port", f"{port} was taken when this release first started, so it answers at {ran.url}"))
        steps += [
            ("live", f"{ran.url}/docs (until `make stop`)"),
            ("rollback", "pushline rollback (once there is a release before this one)"),
            ("score", "pushline score examples/two-rows.json"),
            ("serve", "make serve (the champion in the foreground)"),
        ]
    workspace = f"the workspace {settings.azure.workspace} in https://ml.azure.com"
    steps.append(("experiments", f"mlflow ui --backend-store-uri {registry}" if settings.target == "local" else workspace))
    return ["", *(f"{name:<12} {what}" for name, what in steps)]


def near(path: Path) -> str:
    """A path as short as it can be written from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@click.command("report")
@click.pass_obj
def report(context: Context) -> None:
    """Write build/report.html from what the stages left."""
    from pushline.report.page import write_report

    click.echo(near(write_report(context.project)))


@click.command("evidence")
@click.option("--version", metavar="N", help="A model version instead of the one this run registered.")
@click.option("--run", "run_number", metavar="N", help="In a job: the run of GitHub Actions whose results these are; by default this one.")
@click.option("--from", "first", metavar="STAGE", help="In a job: where the delivery began; deploy refuses what was not accepted.")
@click.option("--approval", metavar="HOW", help="In a job: dispatch where a run by hand is the approval.")
@click.option("--markdown", is_flag=True, help="Print it as Markdown, as the job summary shows it.")
@as_json
def evidence(
    context: Context, version: str | None, run_number: str | None, first: str | None, approval: str | None, markdown: bool, json: bool
) -> None:
    """Show what a person needs before approving the release."""
    from pushline.github import actions
    from pushline.github import approval as approvals
    from pushline.report.evidence import evidence_summary, gather
    from pushline.report.terminal import lines_of_markdown

    delivery = context.delivery
    rehearsal = context.settings.target == "local" and not context.settings.runner
    asked = approvals.approval(run_number or "", first=first or "", by_hand=approval == "dispatch", rehearsal=rehearsal)
    found = gather(context.project, context.settings, delivery.store(), delivery.target, version or None)
    page = asked.lead() + evidence_summary(found)
    actions.summarise(page)
    actions.output("accepted", str(found.evidence.accepted).lower())
    lines = [click.style(line, fg="yellow") if line.startswith("warning: ") else line for line in lines_of_markdown(page)]
    show(found.evidence, json, [page] if markdown else lines)
    approvals.verdict(asked, found.evidence, target=context.settings.target, first=first or "")


COMMANDS = [run, report, evidence]
