"""How a run is shown: a live table on a terminal, a line per event anywhere else. Both speak on standard error."""

import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from pushline.cli.heartbeat import beating, heard, last_time
from pushline.delivery import STAGES
from pushline.report.figures import duration, visible
from pushline.report.states import StateName
from pushline.run import RunResult

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

MARKS: dict[StateName, tuple[str, str]] = {
    "done": ("✓", "green"),
    "refused": ("✗", "yellow"),
    "failed": ("✗", "red"),
    "interrupted": ("✗", "red"),
    "running": ("●", "cyan"),
    "stale": ("·", "dim"),
    "not run": ("·", "dim"),
}
NAME_WIDTH = max(len(name) for name in STAGES)


class LineDisplay:
    """A line when a stage begins and ends, each line it tells in between, and a sign of life where it tells none.

    `expected` is how long stages took the last time, in seconds.
    """

    def __init__(self, expected: dict[str, float] | None = None) -> None:
        self.expected = expected or {}
        self.beats = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.beats.close()

    def begin(self, stage: str) -> None:
        click.echo(f"{stage:<{NAME_WIDTH}}  started", err=True)
        self.beats.enter_context(beating(stage, self.expected.get(stage), say=self.progress))

    def progress(self, line: str) -> None:
        heard()
        click.echo(f"{'':<{NAME_WIDTH}}  {visible(line, 2000)}", err=True)

    def end(self, stage: str, state: StateName, elapsed_s: float, figure: str) -> None:
        self.beats.close()
        click.echo(f"{stage:<{NAME_WIDTH}}  {state}, {duration(elapsed_s)}: {visible(figure, 2000)}", err=True)

    def banner(self, text: str) -> None:
        click.echo(f"*** {text} ***", err=True)


class Board:
    """A table that is drawn again as the run goes on; the running stage's newest line stands where its figure will be."""

    def __init__(self, console: "Console", first: str) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        names = list(STAGES)
        self.console = console
        self.rows: dict[str, tuple[StateName, float | None, str]] = dict.fromkeys(names[names.index(first) :], ("not run", None, ""))
        self.banners: list[str] = []
        self.began = 0.0
        self.spinner = Spinner("dots", style="cyan")
        self.live = Live(console=console, get_renderable=self.picture, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.live.stop()

    def begin(self, stage: str) -> None:
        self.began = time.monotonic()
        self.rows[stage] = ("running", None, "")

    def progress(self, line: str) -> None:
        running = next((name for name, row in self.rows.items() if row[0] == "running"), None)
        if running is None:
            self.console.print(visible(line), style="dim", markup=False, highlight=False)
        else:
            self.rows[running] = ("running", None, visible(line))

    def end(self, stage: str, state: StateName, elapsed_s: float, figure: str) -> None:
        self.rows[stage] = (state, elapsed_s, figure)

    def banner(self, text: str) -> None:
        self.banners.append(text)

    def picture(self) -> "RenderableType":
        from rich.console import Group

        return Group(*map(banner_box, self.banners), self.table())

    def table(self) -> Any:
        from rich.text import Text

        table = empty_table()
        for name, (state, elapsed, figure) in self.rows.items():
            mark, style = MARKS[state]
            shown: Any = self.spinner if state == "running" else Text(mark, style=style)
            passed = time.monotonic() - self.began if state == "running" else elapsed
            table.add_row(
                shown,
                Text(name, style="bold" if state == "running" else "dim" if state == "not run" else ""),
                Text(duration(passed) if passed is not None else "", style="dim"),
                Text(figure, style="dim" if state == "running" else "", no_wrap=True, overflow="ellipsis"),
            )
        return table


def empty_table() -> Any:
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 1), expand=False)
    table.add_column(width=1)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, min_width=8)
    table.add_column(overflow="fold")
    return table


def banner_box(text: str) -> Any:
    from rich.panel import Panel
    from rich.text import Text

    return Panel(Text(text, style="bold"), border_style="yellow", expand=False)


def display_for(first: str, build: Path) -> "LineDisplay | Board":
    """A board where a person looks at a terminal, lines in a pipe, a log or a terminal that can't move its cursor."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        return Board(console, first)
    return LineDisplay({stage: seconds for stage in STAGES if (seconds := last_time(build, stage))})


def print_table(ran: RunResult) -> None:
    """The stages as they ended, on standard output."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    if ran.generated_sample:
        console.print(banner_box("Generated sample: these figures say nothing about real data."))
    table = empty_table()
    for stage in ran.stages:
        mark, style = MARKS[stage.state]
        elapsed = duration(stage.elapsed_s) if stage.elapsed_s is not None else ""
        plain = stage.state == "done"
        words = stage.figure if plain else f"{stage.state}: {stage.figure}" if stage.figure else stage.state
        table.add_row(Text(mark, style=style), stage.stage, Text(elapsed, style="dim"), Text(words, style="" if plain else style))
    console.print(table)
