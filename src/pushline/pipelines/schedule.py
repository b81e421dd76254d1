"""When a pipeline runs by itself: on this side of the cloud, the cron line of a workflow."""

import re
from pathlib import Path

from msgspec import Struct

from pushline.errors import SettingsError
from pushline.files import write_atomically
from pushline.project import Project

WORKFLOWS = {"train": "retrain.yml", "score-batch": "score-batch.yml", "watch": "watch.yml"}
CRON_LINE = re.compile(r"""^(?P<before>\s*-\s*cron:\s*)(?P<quote>["'])(?P<cron>[^"']*)(?P=quote)(?P<after>.*)$""", re.MULTILINE)
RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "weekday": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}


class Schedule(Struct, frozen=True, kw_only=True):
    """When a pipeline runs by itself."""

    pipeline: str
    cron: str
    place: str
    before: str


def checked_cron(text: str) -> str:
    """Five fields as GitHub and Azure read them, in UTC. Raises SettingsError naming the field."""
    fields = text.split()
    if len(fields) != len(RANGES):
        raise SettingsError(f"{text!r} is no schedule.", why=f"It has {len(fields)} fields, not 5.", do='Write for example "17 5 * * 1".')
    for said, (name, low, high) in zip(fields, RANGES, strict=True):
        for part in said.lower().split(","):
            if not valid(part, name, low, high):
                raise SettingsError(
                    f"{text!r} is no schedule.", why=f"{said!r} is no {name} ({low} to {high}).", do='Write for example "17 5 * * 1".'
                )
    if fields[0] == "*" or re.fullmatch(r"\*/[1-4]", fields[0]):
        raise SettingsError(f"{text!r} runs too often.", why="GitHub starts a workflow every 5 minutes at most.", do="Name a minute.")
    return " ".join(fields)


def valid(part: str, name: str, low: int, high: int) -> bool:
    """Whether `part` is `*`, a value, or a range, each with a step or without."""
    whole, slash, step = part.partition("/")
    if slash and not (step.isdigit() and 1 <= int(step) <= high):
        return False
    if whole == "*":
        return True
    words = NAMES.get(name, ())
    ends = [str(words.index(end) + low) if end in words else end for end in whole.split("-")]
    if not 1 <= len(ends) <= 2 or not all(end.isdigit() and end.isascii() and low <= int(end) <= high for end in ends):
        return False
    return int(ends[0]) <= int(ends[-1])


class WorkflowSchedules:
    """The schedules of a checkout: the cron lines of its workflows."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def schedule(self, pipeline: str, cron: str | None) -> Schedule:
        """Set when the workflow of `pipeline` starts, or without `cron` only say it.

        Raises SettingsError for a wrong schedule, and where there is no such workflow or it has no cron line.
        """
        file = workflow_of(self.project, pipeline)
        wanted = checked_cron(cron) if cron is not None else None
        text = file.read_text(encoding="utf-8")
        lines = list(CRON_LINE.finditer(text))
        if len(lines) != 1:
            raise SettingsError(
                f"{file.name} can't be scheduled.",
                why=f"It has {len(lines)} cron lines, not one.",
                do="Put one `- cron:` below `schedule:` in it.",
            )
        found = lines[0]
        if wanted is not None and wanted != found["cron"]:
            line = f'{found["before"]}"{wanted}"{found["after"]}'
            write_atomically(file, (text[: found.start()] + line + text[found.end() :]).encode())
        place = str(file.relative_to(self.project.root))
        return Schedule(pipeline=pipeline, cron=wanted or found["cron"], place=place, before=found["cron"])


def workflow_of(project: Project, pipeline: str) -> Path:
    name = WORKFLOWS.get(pipeline)
    file = project.root / ".github" / "workflows" / (name or "")
    if name is None or not file.is_file():
        raise SettingsError(
            f"{pipeline!r} can't be scheduled here.",
            why=f"No workflow runs it. Workflows run {', '.join(WORKFLOWS)}." if name is None else f"{file} does not exist.",
            do="Name one of them, or restore the workflow from git.",
        )
    return file
