"""Commands for after the release: the prediction log, the outcomes that became known, and what the model does by now."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pushline.cli.context import Context, alone, as_json, show
from pushline.cli.sections import Listing

if TYPE_CHECKING:
    from pushline.data.contract import Contract

FILE = click.Path(path_type=Path, dir_okay=False, readable=False)
since = click.option("--since", metavar="TIME", help="Only rows of the last 12h or 7d, or from a day on, such as 2026-11-24.")


def known(context: Context) -> "tuple[Contract, tuple[str, ...]]":
    """The contract, and the columns by which outcomes find their rows."""
    from pushline.outcomes.file import key_columns

    contract, keys = context.delivery.contract(), context.settings.performance.keys
    key_columns(contract, keys)
    return contract, keys


@click.group("outcomes", cls=Listing)
def outcomes() -> None:
    """Add what became of the rows that were scored."""


@outcomes.command("add")
@click.argument("file", type=FILE)
@as_json
@alone
def add(context: Context, file: Path, json: bool) -> None:
    """Keep the outcomes of FILE (CSV or Parquet), by request id or by the key columns of the settings.

    Again and again, late, corrected and out of order: the newest counts, and what was told before is kept.
    """
    from pushline.outcomes.store import add as add_outcomes
    from pushline.report.performance import outcome_lines

    added = add_outcomes(context.project, *known(context), file)
    show(added, json, outcome_lines(added))


@click.group("records", cls=Listing)
def records() -> None:
    """Export the prediction log, or delete a request from it.

    It holds the rows that the service was asked, where serving.record keeps them.
    """


@records.command("export")
@since
@click.option("--out", type=FILE, required=True, help="A Parquet file.")
@as_json
def export(context: Context, since: str | None, out: Path, json: bool) -> None:
    """Write the log's rows with their answers and outcomes as a typed table."""
    from pushline.outcomes.rows import export as export_rows

    written = export_rows(context.project, *known(context), out, since)
    show(written, json, [f"{written.rows:,} rows in {out}, {written.with_outcome:,} of them with an outcome"])


@records.command("delete")
@click.argument("request_id")
@as_json
@alone
def delete(context: Context, request_id: str, json: bool) -> None:
    """Remove the rows of one request from the log, and its outcomes, for good."""
    from pushline.outcomes.rows import delete as delete_request

    gone = delete_request(context.project, *known(context), request_id)
    show(gone, json, [f"{gone.rows:,} rows and {gone.outcomes:,} outcomes of {request_id} were removed"])


@click.command("performance")
@click.option("--version", metavar="N", help="A model version; by default the champion.")
@click.option("--window", metavar="SIZE", help="Rows, such as 5000, or a time, such as 7d; by default the setting performance.window.")
@since
@as_json
def performance(context: Context, version: str | None, window: str | None, since: str | None, json: bool) -> None:
    """Does it still do what its card promises?

    What the model does now is held against the card; exit 1 where it is below, again and beyond chance. Where outcomes are
    known the metric is realised, elsewhere it is estimated, with the assumptions beside it.
    """
    from pushline.cli.datasets import leave
    from pushline.errors import GateClosed
    from pushline.github import actions
    from pushline.outcomes.rows import moment_of
    from pushline.performance.performance import performance as look
    from pushline.report.performance import performance_summary
    from pushline.report.terminal import lines_of_markdown

    seen = look(context.delivery, version=version, window=window, since=moment_of(since))
    summary = performance_summary(seen)
    leave(context.project.build / "performance", seen, summary)
    actions.summarise(summary)
    show(seen, json, lines_of_markdown(summary))
    if seen.alarms:
        raise GateClosed(f"Version {seen.version} is below its promise.", why=seen.alarms[0].what, do=seen.alarms[0].do)


COMMANDS: list[click.Command] = [outcomes, records, performance]
