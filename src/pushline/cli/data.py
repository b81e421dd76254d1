"""Commands about data."""

from pathlib import Path

import click

from pushline.cli.context import Context, as_json
from pushline.cli.stages import stage


@click.command("fetch")
@click.option("--sample-if-offline", is_flag=True, help="Where the data can't be had, say so and go on with generated rows.")
@as_json
@click.pass_obj
def fetch(context: Context, sample_if_offline: bool, json: bool) -> None:
    """Get the data that data.lock pins."""
    stage(context, "fetch", json, sample_if_offline=sample_if_offline)


@click.command("check-data")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@as_json
@click.pass_obj
def check_data(context: Context, file: Path | None, json: bool) -> None:
    """Check the data (or FILE) against the contract and the rules."""
    stage(context, "check-data", json, file=file)


COMMANDS = [fetch, check_data]
