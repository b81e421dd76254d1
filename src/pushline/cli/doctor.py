"""The command that says what works."""

import click

from pushline.cli.context import Context, as_json, progress
from pushline.wording import counted


@click.command("doctor")
@click.option("--azure", is_flag=True, help="Try what only Azure decides, each thing once, for minutes and cents.")
@click.option("--free", is_flag=True, help="With --azure: only what costs nothing.")
@click.option("--wait", metavar="TIME", default="10m", help="With --azure: how long rights given lately are waited for.", show_default=True)
@click.option("--clean", is_flag=True, help="Remove what earlier preflights left on Azure, and try nothing.")
@as_json
def doctor(context: Context, azure: bool, free: bool, wait: str, clean: bool, json: bool) -> None:
    """Say what works on this machine, and what to do about the rest.

    Exit 1 where the target lacks something. What --azure found is kept in .pushline/azure-preflight.json.
    """
    from pushline.doctor import Here, Line, line_for_a_person
    from pushline.doctor.azure import as_target, remove_leftovers
    from pushline.doctor.examination import PREFLIGHT, examine
    from pushline.errors import GateClosed
    from pushline.files import write_json
    from pushline.github import actions
    from pushline.results import as_json
    from pushline.settings import seconds

    room = ""

    def show(line: Line) -> None:
        nonlocal room
        if json:
            return
        if line.room != room:
            room = line.room
            click.echo(room)
        for text in line_for_a_person(line):
            click.echo(text)

    here = Here(project=context.project, settings=context.settings, in_actions=actions.inside(), progress=progress)
    if azure or clean:
        here = as_target(here, seconds(wait), free=free)
    if clean:
        for left in remove_leftovers(here):
            progress(f"removed: {left}")
        return
    lines = examine(here, show, PREFLIGHT if azure else None)
    if azure:
        write_json(context.project.state / "azure-preflight.json", lines)
    if json:
        click.echo(as_json(lines))
    missing = [line.name for line in lines if line.state == "missing"]
    if missing:
        raise GateClosed(
            f"The target {here.settings.target} lacks {counted(len(missing), 'thing')}: {', '.join(dict.fromkeys(missing))}.",
            do=f"Do what stands below each of them, then run `pushline doctor{' --azure' if azure else ''}` again.",
        )


COMMANDS = [doctor]
