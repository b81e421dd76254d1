"""Commands about the model registry."""

import os
from typing import TYPE_CHECKING

import click

from pushline.cli.context import Context, alone, tell
from pushline.cli.sections import Listing

if TYPE_CHECKING:
    from pushline.settings import PushlineSettings


@click.group("registry", cls=Listing)
def registry() -> None:
    """The model registry on its way between runs of GitHub Actions."""


def lives_elsewhere(settings: "PushlineSettings") -> str:
    """Where the registry is when it needs no carrying; empty where it lies on this machine."""
    if settings.target == "aci":
        return "the Azure ML workspace"
    return "MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else ""


@registry.command("restore")
@click.pass_obj
@alone
def restore(context: Context) -> None:
    """Take up the registry of this delivery, or of the last successful one on the default branch."""
    from pushline.github.restore import restore as bring

    if place := lives_elsewhere(context.settings):
        click.echo(f"Nothing to restore: the registry lives in {place}.")
        return
    click.echo(f"registry: {bring(context.project, tell).reason}")


@registry.command("pack")
@click.pass_obj
@alone
def pack(context: Context) -> None:
    """Put this machine's registry into build/registry/, with its sha256."""
    from pushline.registry import travel

    if place := lives_elsewhere(context.settings):
        context.project.build.joinpath("registry").mkdir(parents=True, exist_ok=True)
        context.project.build.joinpath("registry", "elsewhere.txt").write_text(f"The registry lives in {place}.\n", encoding="utf-8")
        click.echo(f"Nothing to pack: the registry lives in {place}.")
        return
    click.echo(f"packed, sha256 {travel.pack(context.project).sha256}")


COMMANDS = [registry]
