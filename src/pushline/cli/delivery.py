"""Commands that take a model to a release, and back."""

import click

from pushline.cli.context import Context, as_json, finish, show
from pushline.cli.stages import stage


@click.command("train")
@click.option("--budget", metavar="TIME", help="AutoML's time, such as 45s, 10m or 2h; overrides the pipeline's limits.")
@click.option("--keep-best", is_flag=True, help="The first Ctrl-C ends the search with the best model so far, the second the run.")
@click.option("--attach", is_flag=True, help="On Azure: follow the run that goes on there, or take what it left; never start one.")
@click.option("--anew", is_flag=True, help="Train although nothing that training depends on has changed since an earlier version.")
@click.option("--cancel", is_flag=True, help="On Azure: end the run that goes on there.")
@as_json
def train(context: Context, budget: str | None, keep_best: bool, attach: bool, anew: bool, cancel: bool, json: bool) -> None:
    """Run pipelines/train.yml on the checked data.

    Where nothing it depends on has changed, the earlier result is taken.
    """
    if cancel:
        ended = context.delivery.cancel_training(budget=budget or None)
        show({"cancelled": ended}, json, ["cancelled" if ended else "no training was going on"])
        return
    stage(context, "train", json, budget=budget or None, keep_best=keep_best, attach=attach, anew=anew)


@click.command("register")
@click.option("--again", is_flag=True, help="Only where the champion has changed since the decision.")
@as_json
def register(context: Context, again: bool, json: bool) -> None:
    """Register the model; may it replace the champion?"""
    from pushline.github import actions

    if again and (decided := context.delivery.still_decided()):
        actions.output("accepted", str(decided.decision.accept).lower())
        finish(decided, json)
    else:
        stage(context, "register", json)


@click.command("deploy")
@click.option("--version", metavar="N", help="A model version instead of the one this run registered.")
@as_json
def deploy(context: Context, version: str | None, json: bool) -> None:
    """Start the accepted version beside the live release."""
    stage(context, "deploy", json, version=version or None)


@click.command("smoke")
@as_json
def smoke(context: Context, json: bool) -> None:
    """Ask the candidate what it must be able to answer."""
    stage(context, "smoke", json)


@click.command("load-test")
@as_json
def load_test(context: Context, json: bool) -> None:
    """Put load on the candidate and hold it to the SLO."""
    stage(context, "load-test", json)


@click.command("promote")
@as_json
def promote(context: Context, json: bool) -> None:
    """Make the candidate the live release.

    The previous one is put back if it does not answer there.
    """
    stage(context, "promote", json)


COMMANDS = [train, register, deploy, smoke, load_test, promote]
