"""Commands about the model registry."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pushline.cli.context import Context, alone, progress
from pushline.cli.sections import Listing

if TYPE_CHECKING:
    from pushline.settings import PushlineSettings


@click.group("registry", cls=Listing)
def registry() -> None:
    """The model registry on its way between runs of GitHub Actions."""


def lives_elsewhere(settings: "PushlineSettings") -> str:
    """Where the registry is when it needs no carrying; empty where it lies on this machine."""
    if settings.on_azure:
        return "the Azure ML workspace"
    return "MLFLOW_TRACKING_URI" if os.environ.get("MLFLOW_TRACKING_URI") else ""


@registry.command("check-run")
@click.argument("number")
def check_run(number: str) -> None:
    """Refuse a run of GitHub Actions whose results may not be released: of a fork, another branch or another workflow."""
    from pushline.github.runs import check

    click.echo(f"The results of {check(number)['html_url']} are taken.")


@registry.command("restore")
@click.option("--if-gone", metavar="WHAT", help="Where the one of earlier deliveries is gone: stop (default), or begin anew.")
@click.pass_obj
@alone
def restore(context: Context, if_gone: str | None) -> None:
    """Take up the registry of this delivery, or of the last one on the default branch."""
    from pushline.github.restore import restore as bring

    if place := lives_elsewhere(context.settings):
        click.echo(f"Nothing to restore: the registry lives in {place}.")
        return
    click.echo(f"registry: {bring(context.project, progress, begin=if_gone == 'begin').reason}")


@registry.command("pack")
@click.option("--released", is_flag=True, help="This run has just released or rolled back.")
@click.pass_obj
@alone
def pack(context: Context, released: bool) -> None:
    """Put this machine's registry into build/registry/, with its sha256."""
    from pushline.registry import travel

    if place := lives_elsewhere(context.settings):
        context.project.build.joinpath("registry").mkdir(parents=True, exist_ok=True)
        context.project.build.joinpath("registry", "elsewhere.txt").write_text(f"The registry lives in {place}.\n", encoding="utf-8")
        click.echo(f"Nothing to pack: the registry lives in {place}.")
        return
    click.echo(f"packed, sha256 {travel.pack(context.project, released=released).sha256}")


@registry.command("sign")
@click.argument("version", required=False)
@click.option("--bundle", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="What actions/attest signed of this training.")
@click.pass_obj
@alone
def sign(context: Context, version: str | None, bundle: Path | None) -> None:
    """Sign a version that was registered before models were signed, or keep the attestation of a workflow."""
    from pushline.registry.signature import keep_attestation, sign_version
    from pushline.results import TrainResult, load

    store = context.delivery.store()
    if bundle is not None:
        click.echo(keep_attestation(context.project, store, load(context.project.build, TrainResult), bundle))
    elif version is not None:
        click.echo(f"version {version} is signed, manifest {sign_version(context.project, store, version)[:12]}")
    else:
        raise click.UsageError("Name a VERSION, or give a --bundle.")


COMMANDS = [registry]
