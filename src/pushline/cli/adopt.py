"""The command that turns the repository to another table."""

import sys
from pathlib import Path

import click

from pushline.cli.context import Context, as_json, tell


@click.command("adopt")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--label", required=True, metavar="COLUMN", help="The column that is to be predicted.")
@click.option(
    "--positive", metavar="VALUE", help="Of two classes the one that is predicted; by default one that reads like a yes, or the rarer."
)
@click.option("--name", metavar="NAME", help="Name of the data set and the model; by default from the file's name.")
@click.option("--url", default="", metavar="ADDRESS", help="The https address of this very file: then it is not put into the repository.")
@click.option("--keep-out", is_flag=True, help="Don't put the file into the repository: it is looked for in PUSHLINE_DATA.")
@click.option("--apply", "make", is_flag=True, help="Make it so; without this the plan is only shown, and on a terminal asked for.")
@as_json
@click.pass_obj
def adopt(
    context: Context, file: Path, label: str, positive: str | None, name: str | None, url: str, keep_out: bool, make: bool, json: bool
) -> None:
    """Turn this repository to another classification table: draft its contract, settings and pipelines from FILE.

    FILE is CSV (any usual delimiter) or Parquet. Nothing is written before the difference was shown. Run again when the
    table has changed, it proposes a difference of the contract and leaves what people wrote.
    """
    from pushline.adopt.drafting import Wish
    from pushline.adopt.plan import carry_out, plan_adoption, refuse_unsaved, scratch_of
    from pushline.adopt.report import adoption_of, difference_lines, next_lines, plan_lines
    from pushline.results import as_json as text

    project = context.project
    with scratch_of(project) as scratch:
        wish = Wish(file=file, label=label, positive=positive, name=name, url=url)
        plan = plan_adoption(project, wish, keep_out=keep_out, scratch=Path(scratch))
        if not json:
            for line in [*difference_lines(plan), "", *plan_lines(plan)]:
                click.echo(line)
        refuse_unsaved(project, plan)
        if not make and not json and plan.changes and sys.stdin.isatty():
            make = click.confirm("Make it so?", default=False)
        if make:
            carry_out(project, plan, tell)
        if json:
            click.echo(text(adoption_of(plan, applied=make)))
        else:
            for line in next_lines(plan, applied=make):
                click.echo(line)


COMMANDS = [adopt]
