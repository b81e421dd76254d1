"""Commands that set up what lies outside the repository."""

import click

from pushline.cli.context import Context, tell


@click.group("bootstrap")
def bootstrap() -> None:
    """Set up what lies outside the repository: GitHub's settings, Azure's resources."""


@bootstrap.command("github")
@click.option("--reviewer", "reviewers", multiple=True, metavar="LOGIN", help="Who approves a release: a login or org/team; repeatable.")
@click.option("--apply", "make", is_flag=True, help="Make it so; without this the plan is only printed.")
@click.option("--json", "json", is_flag=True, help="Print the plan as JSON on standard output, and nothing else there.")
@click.pass_obj
def github(context: Context, reviewers: tuple[str, ...], make: bool, json: bool) -> None:
    """Environments, rules, variables and rights of the repository on GitHub."""
    from pushline.github import bootstrap as settings
    from pushline.results import as_json

    wanted = settings.wanted(context.settings, reviewers)
    state = settings.read(wanted)
    changes = settings.plan(state, wanted)
    if json:
        click.echo(as_json(changes))
    else:
        for line in settings.lines(state, changes):
            click.echo(line)
    if make and changes:
        for line in settings.apply(changes, state, tell):
            tell(f"left alone: {line}")


COMMANDS = [bootstrap]
