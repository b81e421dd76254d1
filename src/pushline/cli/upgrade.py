"""The command that brings a thin repository to another version of the engine."""

import click

from pushline.cli.context import Context, alone, progress
from pushline.errors import GateClosed


@click.command("upgrade")
@click.option("--to", metavar="VERSION|WHEEL", help="The version, or a file that holds it; by default the newest that is known.")
@click.option("--check", is_flag=True, help="Only say what would change; exit 1 if anything does.")
@click.option("--allow-downgrade", is_flag=True, help="Go back to an older version where --to names one.")
@click.option("--if-any", is_flag=True, help="As a schedule wants it: where nothing says which versions there are, that is no failure.")
@click.option("--propose", is_flag=True, help="Open a pull request for what `pushline upgrade` has changed here.")
@click.pass_obj
@alone
def upgrade(context: Context, to: str | None, check: bool, allow_downgrade: bool, if_any: bool, propose: bool) -> None:
    """Bring this repository to a newer version of Pushline.

    What its owner changed stays: each file is merged three ways: what the old version made of the recorded answers, what stands
    here, what the new version makes of them. Locks are renewed. A conflict is left as git leaves one, and named.
    """
    from pushline.github import actions
    from pushline.report.terminal import lines_of_markdown
    from pushline.upgrade import upgrading
    from pushline.upgrade.engine import NoneKnown
    from pushline.upgrade.upgrading import propose_upgrade

    if propose:
        made = propose_upgrade(context.project)
        click.echo(f"{'opened' if made.created else 'is open already'}: {made.url}")
        return
    try:
        result = upgrading.upgrade(context.project, to=to, check=check, allow_downgrade=allow_downgrade, progress=progress)
    except NoneKnown as error:
        if not if_any:
            raise
        click.echo(str(error))
        result = None
    actions.output("changed", str(result is not None).lower())
    if result is None:
        click.echo("There is nothing to upgrade.")
        return
    click.echo("\n".join(lines_of_markdown(result.summary)))
    if check:
        raise GateClosed(f"upgrade would change {len(result.files)} files.", do="Leave --check out to do it. Nothing was changed.")
    actions.summarise(result.summary)
    upgrading.refuse_unresolved(result.conflicts)
    click.echo("\n`git diff` shows it, `make test` installs and tests it. Commit it then.")


COMMANDS = [upgrade]
