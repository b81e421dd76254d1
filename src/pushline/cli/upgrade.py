"""The command that brings a thin repository to another version of the engine."""

from typing import TYPE_CHECKING

import click

from pushline.cli.context import Context, alone, progress
from pushline.errors import GateClosed

if TYPE_CHECKING:
    from pushline.upgrade.applied import Upgraded


@click.command("upgrade")
@click.option("--to", metavar="VERSION|WHEEL", help="The version, or a file that holds it; by default the newest that is known.")
@click.option("--check", is_flag=True, help="Only say what would change; exit 1 if anything does.")
@click.option("--allow-downgrade", is_flag=True, help="Go back to an older version where --to names one.")
@click.option("--propose", is_flag=True, help="Open a pull request for what `pushline upgrade` has changed here.")
@click.pass_obj
@alone
def upgrade(context: Context, to: str | None, check: bool, allow_downgrade: bool, propose: bool) -> None:
    """Bring this repository to another version of Pushline, and leave what its owner changed.

    Each file is merged three ways: what the old version made of the pin answers, what stands here, what the new version
    makes of them. Locks are renewed. A conflict is left as git leaves one, and named.
    """
    from pushline.github import actions
    from pushline.upgrade.applied import finish, stage, unresolved, upgraded
    from pushline.upgrade.plan import plan_upgrade, refuse_dirty, refuse_downgrade
    from pushline.upgrade.proposal import propose_upgrade
    from pushline.upgrade.report import lines_of, summary_of
    from pushline.upgrade.source import pin_of, present, wanted
    from pushline.upgrade.trees import workspace

    project = context.project
    if propose:
        made = propose_upgrade(project)
        click.echo(f"{'opened' if made.created else 'brought up to date'}: {made.url}")
        return
    pin = pin_of(project.root)
    if not check and (done := finish(project)):
        progress("An upgrade was interrupted; it is complete now.")
        conclude(done)
        return
    with workspace() as folder:
        new = wanted(project.root, pin, to, folder)
        if (new.version, new.sha256) == (pin.version, pin.sha256):
            refuse_unresolved(unresolved(project))
            actions.output("changed", "false")
            click.echo(f"Pushline {new.version} is what this repository runs: there is nothing to upgrade.")
            return
        refuse_dirty(project)
        old = present(project.root, pin, folder)
        refuse_downgrade(old, new, allowed=allow_downgrade)
        plan = plan_upgrade(project, pin, old, new)
        result = upgraded(plan, lines_of(plan), summary_of(plan))
        if check:
            click.echo("\n".join(result.lines))
            raise GateClosed(f"upgrade would change {len(plan.files)} files.", do="Leave --check out to do it. Nothing was changed.")
        stage(project, plan, result)
    finish(project)
    conclude(result)


def conclude(result: "Upgraded") -> None:
    """Say what was done. Raises GateClosed for conflicts."""
    from pushline.github import actions

    click.echo("\n".join(result.lines))
    actions.output("changed", "true")
    actions.summarise(result.summary)
    refuse_unresolved(result.conflicts)
    click.echo("\n`git diff` shows it, `make test` installs and tests it. Commit it then.")


def refuse_unresolved(conflicts: list[str]) -> None:
    if conflicts:
        raise GateClosed(
            f"You and the new version changed the same lines of {', '.join(conflicts)}.",
            why="Everything else is done; there the lines of both stand between <<<<<<< and >>>>>>>.",
            do="Edit these files, `git add` them, and commit. `git checkout HEAD -- .` takes the upgrade back.",
        )


COMMANDS = [upgrade]
