"""The command that turns the repository to another table."""

import sys
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.context import Context, as_json, progress, show
from pushline.cli.heartbeat import expect, hush
from pushline.errors import SettingsError

if TYPE_CHECKING:
    from pushline.adopt.draft import AdoptRequest
    from pushline.template.answers import EngineSource


ABOUT_THE_TABLE = (
    click.option("--label", metavar="COLUMN", help="The column that is to be predicted."),
    click.option(
        "--positive", metavar="VALUE", help="Of two classes the one that is predicted; by default one that reads like a yes, or the rarer."
    ),
    click.option("--name", metavar="NAME", help="Name of the data set and the model; by default from the file's name."),
    click.option("--url", default="", metavar="ADDRESS", help="The https address of this very file: others and CI get it there."),
    click.option("--sheet", metavar="NAME", help="Of a workbook the sheet that is read; by default the first."),
    click.option("--in-git/--keep-out", default=False, help="Put the table into the repository; by default git ignores it."),
    click.option(
        "--decimal", type=click.Choice([",", "."]), help="The sign that parts decimals, where `1,234` or `2.000` could be either."
    ),
    click.option("--task", type=click.Choice(["classification", "regression"]), help="What the label is; by default as its values look."),
    click.option("--keep-suspect", multiple=True, metavar="COLUMN", help="It decides the label and is known before it all the same."),
    click.option("--known-after", multiple=True, metavar="COLUMN", help="It is known only once the outcome is: the model leaves it out."),
    click.option("--sensitive", multiple=True, metavar="COLUMN", help="Figures are also given by its groups."),
    click.option("--objective", metavar="TEXT", help="What the threshold serves, such as cost:5: a miss costs 5 false alarms."),
    click.option("--split", metavar="TEXT", help="row, group:COLUMN, time:COLUMN or group:COLUMN,time:COLUMN; by default as figures say."),
    click.option(
        "--engine",
        type=click.Choice(["vendor", "index"]),
        default="vendor",
        help="Where a repository gets the engine it is pinned to: a wheel of its own in vendor/, or a package index.",
    ),
)


def about_the_table(function: Callable[..., None]) -> Callable[..., None]:
    """The options of both commands."""
    return reduce(lambda command, option: option(command), reversed(ABOUT_THE_TABLE), function)


@click.command("adopt")
@click.argument("file", metavar="FILE|ADDRESS", required=False)
@about_the_table
@click.option("--diff", is_flag=True, help="Show every file that changes, and how.")
@click.option("--apply", "make", is_flag=True, help="Make it so; without this the plan is only shown, and on a terminal asked for.")
@click.option("--interactive", is_flag=True, help="Ask one by one what only a person knows, each with what is proposed.")
@click.option("--undo", is_flag=True, help="Take the last adoption back, file by file as it was.")
@click.option("--thin", is_flag=True, help="Bring a repository that adopted its table with the engine in src/ to the small form.")
@as_json
def adopt(
    context: Context,
    /,
    file: str | None,
    label: str | None,
    in_git: bool,
    engine: "EngineSource",
    diff: bool,
    make: bool,
    interactive: bool,
    undo: bool,
    thin: bool,
    json: bool,
    **about: Any,
) -> None:
    """Turn this repository to a table of your own.

    Its contract, settings and pipelines are drafted from FILE, or from what an address gives: CSV (any usual delimiter),
    Parquet, either of them in gzip or ZIP, or an Excel workbook.

    A clone of the engine's repository becomes a small one with the engine as a pinned wheel. Nothing is written before the
    plan was shown. Run again when the table has changed, it proposes a difference of the contract and leaves what people wrote.
    No row of the table goes into git unless --in-git says so.
    """
    from pushline.adopt.draft import AdoptRequest
    from pushline.adopt.journal import take_back_last

    if interactive and json:
        raise click.UsageError("--interactive asks on standard output, where --json prints the result alone.")
    if undo:
        with context.alone():
            click.echo(f"{take_back_last(context.project)} files are as they were before the adoption.")
        return
    if thin:
        make_thin(context, engine, make=make)
        return
    if file is None or label is None:
        missing = "FILE" if file is None else "--label COLUMN"
        raise SettingsError(
            f"adopt needs {missing}.", why="It drafts from a table, for one of its columns.", do="pushline adopt FILE --label COLUMN"
        )
    request = AdoptRequest(file=Path(file), address=file if "://" in file else "", label=label, **about)
    show_and_do(context, request, in_git=in_git, engine=engine, diff=diff, make=make, interactive=interactive, json=json)


@click.command("new")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--table", metavar="FILE|ADDRESS", help="Your table: see `pushline adopt --help`; without one it is the example's.")
@about_the_table
@click.pass_obj
def new(
    context: Context, /, folder: Path, table: str | None, label: str | None, in_git: bool, engine: "EngineSource", **about: Any
) -> None:
    """Make a small repository, for your own table or the example.

    FOLDER gets contract, rules, pipelines, workflows and tests, with this Pushline as its pinned engine.
    """
    from pushline.adopt.draft import AdoptRequest
    from pushline.adopt.new import first_commit, new_repository
    from pushline.adopt.report import plan_lines

    if (table is None) != (label is None):
        missing = "--table FILE" if table is None else "--label COLUMN"
        raise SettingsError(
            f"new needs {missing}.", why="A table is drafted for one of its columns.", do="pushline new FOLDER --table FILE --label COLUMN"
        )
    address = table if table and "://" in table else ""
    request = AdoptRequest(file=Path(table).resolve(), address=address, label=label, **about) if table and label else None
    plan = new_repository(folder, request, in_git=in_git, engine=engine)
    for line in plan_lines(plan) if plan else ():
        click.echo(line)
    files = sum(file.is_file() for file in folder.rglob("*") if not {".git", ".pushline"}.intersection(file.relative_to(folder).parts))
    click.echo(f"{folder} holds {files} files. Next, there:")
    if not first_commit(folder):
        click.echo("  git commit -m 'Begin'     git does not know you yet: it says how to change that")
    click.echo(
        "  make run                  the whole delivery on this machine\n  make test                 what has to hold of the repository"
    )


def make_thin(context: Context, engine: "EngineSource", *, make: bool) -> None:
    """Show what `adopt --thin` changes, and make it so where that was wished."""
    from pushline.adopt.journal import apply, begin
    from pushline.adopt.plan import refuse_unsaved
    from pushline.adopt.thin import plan_thin

    begin(context.project, make=make, progress=progress)
    changes, told = plan_thin(context.project, engine)
    refuse_unsaved(context.project, changes)
    removed = sum(change.after is None for change in changes)
    click.echo("\n".join([*told, f"{len(changes)} files change, {removed} of them are removed with the engine."]))
    if not make:
        click.echo("Nothing was written. --apply does it.")
        return
    with context.alone():
        apply(context.project, changes)
    click.echo("Next: `git diff`, then commit. `pushline adopt --undo` takes it back.")


def show_and_do(
    context: Context,
    request: "AdoptRequest",
    *,
    in_git: bool,
    engine: "EngineSource",
    diff: bool,
    make: bool,
    interactive: bool,
    json: bool,
) -> None:
    """Show the plan; on a terminal ask what it leaves open; make it so where that was wished."""
    if not json:
        progress(f"Reading {request.file.name}.")  # before what takes long to import
    from pushline.adopt.journal import begin
    from pushline.adopt.plan import carry_out, plan_adoption, refuse_deciding, refuse_other_table, refuse_unsaved
    from pushline.adopt.report import adoption_of, change_lines, next_lines, plan_lines
    from pushline.cli.questions import answered
    from pushline.files import scratch

    project = context.project
    asks = sys.stdin.isatty() and not json
    begin(project, make=make, progress=progress)
    with scratch(project.state / "adopt-scratch") as place:
        plan = plan_adoption(project, request, in_git=in_git, engine=engine, scratch=place, expect=expect)
        if interactive or (asks and plan.draft.deciding):
            request = answered(request, plan, everything=interactive)
            plan = plan_adoption(project, request, in_git=in_git, engine=engine, scratch=place, expect=expect)
        if not json:
            for line in [*plan_lines(plan), *change_lines(plan, whole=diff)]:
                click.echo(line)
        if make or asks:
            refuse_deciding(plan)
        refuse_unsaved(project, plan.changes)
        refuse_other_table(project, plan)
        if not make and (asks or interactive) and plan.changes:
            hush()
            make = click.confirm("Make it so?", default=False)
        if make:
            with context.alone():
                carry_out(project, plan)
        show(adoption_of(plan, applied=make), json, next_lines(plan, applied=make))


COMMANDS = [adopt, new]
"""`pushline adopt`: turn this repository to another table."""
