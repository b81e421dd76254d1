"""What works here and what does not, line by line, with what to do. Only reads; needs no account."""

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct

from pushline.errors import PushlineError
from pushline.progress import Progress, silent
from pushline.project import Project
from pushline.settings import PushlineSettings

LineState = Literal["works", "missing", "note", "not needed"]
MARKS: dict[LineState, str] = {"works": "✓", "missing": "✗", "note": "!", "not needed": "-"}


class Line(Struct, frozen=True):
    """One thing. `missing` stops what the chosen target does; a `note` does not."""

    state: LineState
    name: str
    says: str
    do: str = ""
    room: str = ""


class Here(Struct, frozen=True, kw_only=True):
    """Where the examination takes place."""

    project: Project
    settings: PushlineSettings
    in_actions: bool
    free: bool = False  # only what costs nothing is tried
    wait_s: float = 0.0  # for what was given lately to be known everywhere
    progress: Progress = silent

    @property
    def on_azure(self) -> bool:
        return self.settings.on_azure


RoomCheck = Callable[[Here], Iterator[Line]]


def works(name: str, says: str) -> Line:
    return Line("works", name, says)


def missing(name: str, says: str, do: str) -> Line:
    return Line("missing", name, says, do)


def note(name: str, says: str, do: str = "") -> Line:
    return Line("note", name, says, do)


def not_needed(name: str, says: str) -> Line:
    return Line("not needed", name, says)


def lacking(here: Here, name: str, says: str, do: str, *, needed: bool) -> Line:
    """Missing where it is needed here, else a note."""
    return (missing if needed else note)(name, says, do)


def because(name: str, error: PushlineError, *, needed: bool = True) -> Line:
    """A check that ended in a failure of the house: its own words are the finding."""
    says = f"{error.what} {error.why}".strip().replace("\n", " ")
    return Line("missing" if needed else "note", name, says, error.do)


def line_for_a_person(line: Line) -> list[str]:
    said = [f" {MARKS[line.state]}  {line.name:<22} {line.says}"]
    return said + ([f"{'':27}{line.do}"] if line.do and line.state in ("missing", "note") else [])
