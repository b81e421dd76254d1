"""The command that turns the repository to another table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pushline.cli.context import Context, as_json, progress, show
from pushline.cli.heartbeat import hush
from pushline.errors import SettingsError

if TYPE_CHECKING:
    from pushline.adopt.drafting import Wish


@click.command("adopt")
@click.argument("file", required=False)
@click.option("--label", metavar="COLUMN", help="The column that is to be predicted.")
@click.option(
    "--positive", metavar="VALUE", help="Of two classes the one that is predicted; by default one that reads like a yes, or the rarer."
)
@click.option("--name", metavar="NAME", help="Name of the data set and the model; by default from the file's name.")
@click.option("--url", default="", metavar="ADDRESS", help="The https address of this very file: others and CI get it there.")
@click.option("--in-git/--keep-out", default=False, help="Put the table into the repository; by default git ignores it.")
@click.option("--decimal", type=click.Choice([",", "."]), help="The sign that parts decimals, where `1,234` or `2.000` could be either.")
@click.option("--keep-suspect", multiple=True, metavar="COLUMN", help="It decides the label and is known before it all the same.")
@click.option("--known-after", multiple=True, metavar="COLUMN", help="It is known only once the outcome is: the model leaves it out.")
@click.option("--diff", is_flag=True, help="Show every file that changes, and how.")
@click.option("--apply", "make", is_flag=True, help="Make it so; without this the plan is only shown, and on a terminal asked for.")
@click.option("--undo", is_flag=True, help="Take the last adoption back, file by file as it was.")
@as_json
@click.pass_obj
def adopt(
    context: Context,
    file: str | None,
    label: str | None,
    positive: str | None,
    name: str | None,
    url: str,
    in_git: bool,
    decimal: str | None,
    keep_suspect: tuple[str, ...],
    known_after: tuple[str, ...],
    diff: bool,
    make: bool,
    undo: bool,
    json: bool,
) -> None:
    """Turn this repository to another classification table: draft its contract, settings and pipelines from FILE.

    FILE is CSV (any usual delimiter) or Parquet. Nothing is written before the plan was shown. Run again when the table
    has changed, it proposes a difference of the contract and leaves what people wrote. No row of the table goes into git
    unless --in-git says so.
    """
    from pushline.adopt.applied import take_back_last
    from pushline.adopt.drafting import Wish

    if undo:
        with context.alone():
            click.echo(f"{take_back_last(context.project)} files are as they were before the adoption.")
        return
    if file is None or label is None:
        missing = "FILE" if file is None else "--label COLUMN"
        raise SettingsError(
            f"adopt needs {missing}.", why="It drafts from a table, for one of its columns.", do="pushline adopt FILE --label COLUMN"
        )
    wish = Wish(
        file=Path(file),
        label=label,
        positive=positive,
        name=name,
        url=url,
        decimal=decimal,
        keep_suspect=keep_suspect,
        known_after=known_after,
    )
    show_and_do(context, wish, in_git=in_git, diff=diff, make=make, json=json)


def show_and_do(context: Context, wish: "Wish", *, in_git: bool, diff: bool, make: bool, json: bool) -> None:
    """Show the plan; on a terminal ask what it leaves open; make it so where that was wished."""
    from pushline.adopt.applied import begin
    from pushline.adopt.plan import carry_out, plan_adoption, refuse_deciding, refuse_other_table, refuse_unsaved, scratch_of
    from pushline.adopt.report import adoption_of, change_lines, next_lines, plan_lines

    project = context.project
    asks = sys.stdin.isatty() and not json
    begin(project, make=make, progress=progress)
    with scratch_of(project) as scratch:
        if not json:
            progress(f"Reading {wish.file.name}.")
        plan = plan_adoption(project, wish, in_git=in_git, scratch=Path(scratch))
        if asks and plan.draft.deciding:
            wish = with_answers(wish, plan.draft.deciding)
            plan = plan_adoption(project, wish, in_git=in_git, scratch=Path(scratch))
        if not json:
            for line in [*plan_lines(plan), *change_lines(plan, whole=diff)]:
                click.echo(line)
        if make or asks:
            refuse_deciding(plan)
        refuse_unsaved(project, plan)
        refuse_other_table(project, plan)
        if not make and asks and plan.changes:
            hush()
            make = click.confirm("Make it so?", default=False)
        if make:
            with context.alone():
                carry_out(project, plan, progress)
        show(adoption_of(plan, applied=make), json, next_lines(plan, applied=make))


def with_answers(wish: "Wish", deciding: dict[str, str]) -> "Wish":
    """The wish with what a person says of each column that decides the label."""
    import msgspec

    for name, said in deciding.items():
        click.echo(said)
        hush()
        before = click.confirm(f"Is {name} known before the outcome is?", default=False)
        field = "keep_suspect" if before else "known_after"
        wish = msgspec.structs.replace(wish, **{field: (*getattr(wish, field), name)})
    return wish


COMMANDS = [adopt]
"""`pushline adopt`: turn this repository to another table."""
