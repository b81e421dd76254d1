"""The commands that hold a model version against a labelled file, and against the champion."""

from pathlib import Path

import click

from pushline.cli.context import Context, as_json, progress, show


@click.command("evaluate")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--version", metavar="N", help="A model version; by default the champion.")
@as_json
def evaluate(context: Context, file: Path, version: str | None, json: bool) -> None:
    """Measure a model version on any labelled file.

    FILE is CSV or Parquet.
    """
    from pushline.cli.datasets import local_data
    from pushline.registry import open_store
    from pushline.training.judge import judge, lines_of

    judged = judge(context.project, open_store(context.project, context.settings), file, version, progress=progress, local=local_data())
    show(judged, json, lines_of(judged))


@click.command("replay")
@click.option("--version", metavar="N", help="A model version; by default the newest one.")
@as_json
def replay(context: Context, version: str | None, json: bool) -> None:
    """Show what a version would answer otherwise than the champion.

    Both are asked the rows of recent requests.
    """
    from pushline.report.summary import replay_lines

    seen = context.delivery.replay(version)
    show(seen, json, replay_lines(seen))


COMMANDS = [evaluate, replay]
