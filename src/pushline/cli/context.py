"""What every command gets: the project, its settings, and how to speak."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pushline.cli.heartbeat import heard

if TYPE_CHECKING:
    from pushline.delivery import Delivery
    from pushline.project import Project
    from pushline.settings import PushlineSettings

JSON = click.option("--json", "json", is_flag=True, help="Print the result as JSON on standard output, and nothing else there.")


class Context:
    """Found and read only when a command asks for it, so that `--help` needs no project."""

    def __init__(self, project: str | None = None, *, debug: bool = False) -> None:
        self._folder = Path(project) if project else None
        self.debug = debug

    @cached_property
    def project(self) -> "Project":
        from pushline.project import Project

        return Project.find(self._folder)

    @cached_property
    def settings(self) -> "PushlineSettings":
        from pushline.settings import load_settings

        return load_settings(self.project.root)

    @cached_property
    def settings_or_defaults(self) -> "PushlineSettings":
        """The settings where there is a project, else (in a container) the defaults, overlaid with the variables."""
        from pushline.errors import SettingsError
        from pushline.settings import load_settings

        try:
            root = self.project.root
        except SettingsError:
            if self._folder is not None:
                raise
            return load_settings(None)
        return load_settings(root)

    @property
    def signers(self) -> Path | None:
        """Where the repository says who may sign; None where there is no project, as in a container."""
        from pushline.errors import SettingsError

        try:
            return self.project.signers
        except SettingsError:
            return None

    @contextmanager
    def alone(self, what: str = "command") -> Iterator[None]:
        """What writes results or files of the repository does so alone; the second command is refused, and told who is at work."""
        from pushline.locks import locked

        with locked(self.project.state / f"{what}.lock"):
            yield

    @cached_property
    def delivery(self) -> "Delivery":
        from pushline.delivery import Delivery

        return Delivery(self.project, self.settings, progress)


def alone(function: Callable[..., None]) -> Callable[..., None]:
    """A command that acts: see `Context.alone`. Stands below what passes the context."""

    @wraps(function)
    def held(context: Context, *arguments: Any, **options: Any) -> None:
        with context.alone():
            function(context, *arguments, **options)

    return held


def as_json(function: Callable[..., None]) -> Callable[..., None]:
    """A command that gets the context and prints a result: see `show`."""
    return JSON(click.pass_obj(function))


def progress(line: str) -> None:
    """What is going on goes to standard error, so that standard output stays the result's."""
    heard()
    click.echo(line, err=True)


def show(result: Any, json: bool, lines: Iterable[str]) -> None:
    """Print a result: as JSON, or as its lines."""
    from pushline.results import as_json as text

    for line in [text(result)] if json else lines:
        click.echo(line)


def finish(result: Any, json: bool) -> None:
    """Print the result of a stage: as JSON, or a human line per fact."""
    from pushline.report.summary import lines_of

    show(result, json, lines_of(result))
