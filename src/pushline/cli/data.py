"""Commands about data."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.context import Context, as_json, finish, progress
from pushline.cli.stages import stage

if TYPE_CHECKING:
    from pushline.delivery import Delivery


@click.command("fetch")
@click.option("--sample-if-offline", is_flag=True, help="Where the data can't be had, say so and go on with generated rows.")
@click.option("--sample", is_flag=True, help="Generated rows, whether the data can be had or not.")
@click.option("--untrusted", is_flag=True, help="As for a stranger's data.lock: https sources only, public addresses only, 2 GiB at most.")
@as_json
def fetch(context: Context, sample_if_offline: bool, sample: bool, untrusted: bool, json: bool) -> None:
    """Get the data that data.lock pins."""
    stage(context, "fetch", json, sample_if_offline=sample_if_offline, sample=sample, untrusted=untrusted)


@click.command("check-data")
@click.argument("file", required=False, type=click.Path(path_type=Path, readable=False))  # the reader says it in our words
@as_json
@click.option("--markdown", is_flag=True, help="Print the result as Markdown, as in build/check-data/summary.md.")
@click.option("--annotations", is_flag=True, help="Also print the findings as annotations for GitHub, where a pull request shows them.")
@click.option("--data-docs", is_flag=True, help="Also write Great Expectations' own pages to build/check-data/data-docs/.")
def check_data(context: Context, file: Path | None, json: bool, markdown: bool, annotations: bool, data_docs: bool) -> None:
    """Hold the data, or a file, to the contract and the rules.

    FILE is CSV or Parquet. What is found in FILE lies below build/other/: the delivery's own result stays as it is.
    """
    if json and markdown:
        raise click.UsageError("--json and --markdown both ask for standard output: name one of them.")

    def show(checked: Any, json: bool) -> None:
        from pushline.github.annotations import annotations_of
        from pushline.report.summary import summary_of

        if markdown:
            click.echo(summary_of(checked), nl=False)
        else:
            finish(checked, json)
        if annotations:  # GitHub reads both streams; with --json or --markdown standard output is the result's alone
            for line in annotations_of(checked, context.project):
                click.echo(line, err=json or markdown)

    stage(context, "check-data", json, show=show, file=file, data_docs=data_docs, delivery=beside(context) if file else None)


def beside(context: Context) -> "Delivery":
    """Where a look at another file leaves what it found: below build/other/, which no stage reads."""
    from pushline.delivery import Delivery

    return Delivery(context.project.beside(context.project.build / "other"), context.settings, progress)


COMMANDS = [fetch, check_data]
