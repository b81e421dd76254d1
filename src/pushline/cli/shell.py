"""Commands for who sits at the machine: the browser, and the shell's Tab key."""

import click

from pushline.cli.context import Context, as_json, show


@click.command("open")
@click.argument("what", type=click.Choice(["report", "docs"]), default="report")
@as_json
def open_page(context: Context, what: str, json: bool) -> None:
    """Open the report, or the live API's page, in the browser.

    It also prints where that is.
    """
    if what == "docs":
        from pushline.release.scoring import live_of

        place = live_of(context.delivery.target()).url + "/docs"
    else:
        place = str(report_of(context))
    show({"place": place}, json, [place])
    if not json:
        click.launch(place)


def report_of(context: Context) -> object:
    """The report's file. Raises DataUnavailable where no run has left one."""
    from pushline.errors import DataUnavailable

    file = context.project.build / "report.html"
    if not file.is_file():
        raise DataUnavailable("There is no report yet.", why=f"{file} does not exist.", do="`pushline run` or `pushline report` writes it.")
    return file


@click.command("docs")
@click.argument("page", required=False)
def docs(page: str | None) -> None:
    """Print a page of the documentation.

    It is Markdown; without PAGE the command says which pages there are.
    """
    from pushline.errors import SettingsError
    from pushline.template.source import pages

    known = pages()
    if page is None:
        width = max(map(len, known))
        click.echo("\n".join(f"{name:{width}}  {text.partition(chr(10))[0].removeprefix('# ')}" for name, text in known.items()))
        return
    if page not in known:
        raise SettingsError(f"There is no page {page!r}.", why=f"There are {', '.join(known)}.", do="Name one of them.")
    click.echo_via_pager(known[page])


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what a shell needs to complete commands with Tab.

    eval "$(pushline completion bash)", or pushline completion fish | source."""
    from click.shell_completion import get_completion_class

    command = click.get_current_context().find_root().command
    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(command, {}, "pushline", "_PUSHLINE_COMPLETE").source())


COMMANDS: list[click.Command] = [open_page, docs, completion]
