"""The command that says what a repository costs."""

from pathlib import Path

import click

from pushline.cli.context import Context, as_json, show


@click.command("costs")
@click.option(
    "--pushes", type=click.IntRange(min=0), default=8, show_default=True, help="Pushes to main in a month that train and release."
)
@click.option("--pull-requests", type=click.IntRange(min=0), default=8, show_default=True, help="Pull requests in a month.")
@click.option("--prices", type=click.Path(path_type=Path, dir_okay=False), help="A file with your prices; by default those of the engine.")
@as_json
def costs(context: Context, pushes: int, pull_requests: int, prices: Path | None, json: bool) -> None:
    """Estimate what CI and Azure cost.

    By the workflows and the settings: minutes for a push, a pull request and a month of what the clock starts; euros for what
    stands. Asks nobody, and says of which day its prices are.
    """
    from pushline import costs as estimate

    root, settings, price = context.project.root, context.settings, estimate.prices(prices)
    found = estimate.Costs(
        prices=price, minutes=tuple(estimate.minutes(root, settings)), standing=tuple(estimate.standing(settings, price))
    )
    show(found, json, estimate.lines(found, dict(zip(estimate.EVENTS.values(), (pushes, pull_requests), strict=True))))


COMMANDS = [costs]
