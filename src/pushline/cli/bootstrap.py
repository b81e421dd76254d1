"""Commands that set up what lies outside the repository."""

from pathlib import Path

import click

from pushline.cli.context import Context, as_json, progress, show
from pushline.cli.sections import Listing


@click.group("bootstrap", cls=Listing)
def bootstrap() -> None:
    """Set up GitHub or Azure for this repository."""


@bootstrap.command("github")
@click.option("--reviewer", "reviewers", multiple=True, metavar="LOGIN", help="Who approves a release: a login or org/team; repeatable.")
@click.option("--apply", "make", is_flag=True, help="Make it so; without this the plan is only printed.")
@as_json
def github(context: Context, reviewers: tuple[str, ...], make: bool, json: bool) -> None:
    """Environments, rules, variables and rights of the repository on GitHub."""
    from pushline.azure.bootstrap import recall
    from pushline.github import bootstrap as settings
    from pushline.github.owners import name_owners, name_workflows

    azure = recall(context.project.state)
    left = (azure.variables(), azure.environment_variables()) if azure else ()
    wanted = settings.wanted(context.settings, reviewers, *left)
    state = settings.read(wanted)
    changes = settings.plan(state, wanted)
    show(changes, json, settings.lines(state, changes))
    for line in (name_owners(context.project.root, reviewers, write=make), name_workflows(context.project, state, write=make)):
        if line:
            progress(line)
    if make and changes:
        for line in settings.apply(changes, state, progress):
            progress(f"left alone: {line}")


@bootstrap.command("azure")
@click.option("--subscription", metavar="ID", help="Where no setting names it.")
@click.option("--location", metavar="REGION", default="", help="Where the resource group is made, such as westeurope.")
@click.option("--subject-prefix", metavar="TEXT", help="Of GitHub's id-tokens, such as repo:OWNER/NAME; by default GitHub is asked.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the template and its parameters, to be reviewed or deployed by others."
)
@click.option("--apply", "make", is_flag=True, help="Make it so; without this the plan is only printed.")
@as_json
def azure(
    context: Context, subscription: str | None, location: str, subject_prefix: str | None, out: Path | None, make: bool, json: bool
) -> None:
    """Workspace, registry, cluster, the identities of training and release, and what they may do."""
    from pushline.azure import account, bootstrap
    from pushline.github import oidc

    settings = account.completed(context.settings, subscription)
    prefix = subject_prefix or oidc.subject_prefix()
    arm = account.sign_in()
    state = account.read(arm, settings, region=location, prefix=prefix)
    for line in bootstrap.write(out, state) if out else ():
        progress(line)
    plan = bootstrap.plan(arm, state)
    show(plan, json, bootstrap.lines(state, plan, settings))
    if make:
        bootstrap.apply(arm, state, plan, progress)
    if make or not plan.changes:
        facts = bootstrap.connected(arm, state)
        bootstrap.remember(context.project.state, facts)
        for line in bootstrap.next_steps(facts):
            progress(line)


COMMANDS = [bootstrap]
