"""The command that says what works."""

import click

from pushline.cli.context import Context, as_json
from pushline.wording import counted


@click.command("doctor")
@as_json
def doctor(context: Context, json: bool) -> None:
    """Say what works on this machine, and what to do about the rest.

    Exit 1 where the target lacks something.
    """
    from pushline.doctor import Here, Line, line_for_a_person
    from pushline.doctor.examination import examine
    from pushline.errors import GateClosed
    from pushline.github import actions
    from pushline.results import as_json

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

    here = Here(project=context.project, settings=context.settings, in_actions=actions.inside())
    lines = examine(here, show)
    if json:
        click.echo(as_json(lines))
    missing = [line.name for line in lines if line.state == "missing"]
    if missing:
        raise GateClosed(
            f"The target {here.settings.target} lacks {counted(len(missing), 'thing')}: {', '.join(dict.fromkeys(missing))}.",
            do="Do what stands below each of them, then run `pushline doctor` again.",
        )


COMMANDS = [doctor]
