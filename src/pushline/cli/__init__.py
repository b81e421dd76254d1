"""The command line: one thin command per stage and operation, no logic.

The commands live in this folder's modules; none imports anything heavy before it runs.
"""

import io
import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from pushline import __version__
from pushline.cli.context import Context
from pushline.cli.sections import Sections
from pushline.errors import PushlineError
from pushline.github import actions

MODULES = (
    "adopt", "after", "batch", "bootstrap", "costs", "data", "datasets", "delivery", "doctor", "judging", "operate", "pipelines",
    "registry", "run", "serving", "shell", "upgrade",
)  # fmt: skip
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=Sections, context_settings=CONTEXT)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--project", type=click.Path(file_okay=False, exists=True), help="The repository's folder; by default the one you are in.")
@click.option("--debug", is_flag=True, envvar="PUSHLINE_DEBUG", help="Show the traceback of an expected failure too.")
@click.pass_context
def pushline(context: click.Context, project: str | None, debug: bool) -> None:
    """From git push to a served, approved, load-tested classifier."""
    context.obj = Context(project, debug=debug)


for module in MODULES:
    for command in import_module(f"pushline.cli.{module}").COMMANDS:
        pushline.add_command(command)


def terminated(number: int, frame: object) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C, so that every stage tidies up after itself."""
    raise KeyboardInterrupt


def shown(error: PushlineError) -> str:
    """The failure's lines, with no sign of foreign text that could move the cursor."""
    from pushline.report.figures import visible

    return "\n".join(visible(line, 4000) for line in str(error).split("\n"))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: the one place that prints failures."""
    signal.signal(signal.SIGTERM, terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another alphabet gets what it can show, never a traceback
            stream.reconfigure(errors="backslashreplace")
    debug = bool(os.environ.get("PUSHLINE_DEBUG")) or "--debug" in (sys.argv[1:] if arguments is None else arguments)
    try:
        pushline.main(args=arguments, prog_name="pushline", standalone_mode=False)
    except PushlineError as error:
        if debug:
            raise
        click.echo(f"error: {shown(error)}", err=True)
        if actions.inside():
            from pushline.github.annotations import annotation_of_error

            click.echo(annotation_of_error(error), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)
