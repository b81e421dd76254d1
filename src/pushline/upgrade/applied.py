"""An upgrade made so. All of it is written down in `.pushline/upgrade/` first; from then on a kill is made good by the same command."""

from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.adopt.journal import hash_of, put, sha256
from pushline.errors import SettingsError
from pushline.files import cannot_write, remove, settle, whole_folder, write_atomically
from pushline.project import Project
from pushline.upgrade.plan import File, Plan
from pushline.upgrade.trees import git

STAGED = "upgrade"
RECORD = "upgrade.json"


class Step(Struct, frozen=True, kw_only=True):
    """One file: sha256 of its content before and after, None for no file; in a conflict, mode and sha256 of git's stages."""

    path: str
    before: str | None
    after: str | None
    mode: int
    stages: dict[int, tuple[str, str]] = {}


class Upgraded(Struct, frozen=True, kw_only=True):
    """What an upgrade changes, or has changed."""

    before: str  # version
    after: str
    files: tuple[Step, ...]
    summary: str  # what changed in the users' words, as Markdown

    @property
    def conflicts(self) -> list[str]:
        return [step.path for step in self.files if step.stages]


def folder_of(project: Project) -> Path:
    return project.state / STAGED


def upgraded(plan: Plan, summary: str) -> Upgraded:
    return Upgraded(before=plan.before, after=plan.after, files=tuple(map(step_of, plan.files)), summary=summary)


def step_of(file: File) -> Step:
    stages = {stage: (mode, sha256(content)) for stage, (mode, content) in file.stages.items()}
    before, after = (None if content is None else sha256(content) for content in (file.before, file.after))
    return Step(path=file.path, before=before, after=after, mode=file.mode, stages=stages)


def stage(project: Project, plan: Plan, made: Upgraded) -> None:
    """Write the plan down, whole or not at all."""
    contents = [content for file in plan.files for content in (file.after, *(content for _, content in file.stages.values()))]
    with whole_folder(folder_of(project)) as half:
        for content in contents:
            if content is not None:
                (half / sha256(content)).write_bytes(content)
        (half / RECORD).write_bytes(msgspec.json.encode(made))


def finish(project: Project) -> Upgraded | None:
    """Make so what was staged, by this command or by one that was killed; None where nothing is staged.

    Raises SettingsError, before anything is touched, where a file is neither as it was nor as it is to be.
    """
    folder = folder_of(project)
    settle(folder)
    if not (folder / RECORD).is_file():
        return None
    made = msgspec.json.decode((folder / RECORD).read_bytes(), type=Upgraded)
    other = [step.path for step in made.files if hash_of(project.root / step.path) not in (step.before, step.after)]
    if other:
        raise SettingsError(
            f"An upgrade to {made.after} was interrupted, and {', '.join(other[:6])}{' and others' * (len(other) > 6)} changed since.",
            why="What was changed there would be lost.",
            do=f"Move these changes away and restore the files with `git checkout`, then run the same command again; "
            f"or remove {folder} and go back with git.",
        )
    for step in sorted(made.files, key=lambda step: step.after is not None):  # a file may come where a folder was
        put(project.root / step.path, None if step.after is None else (folder / step.after).read_bytes(), step.mode)
    mark(project, made, folder)
    place = project.build / STAGED
    write_atomically(place / "result.json", msgspec.json.encode(made))
    write_atomically(place / "summary.md", made.summary.encode())
    try:
        remove(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return made


def mark(project: Project, made: Upgraded, folder: Path) -> None:
    """Let git's index hold the three sides of each conflict, so that `git status` names it and a commit waits for it."""
    prefix = git(project.root, "rev-parse", "--show-prefix").decode().rstrip("\n")
    lines = []
    for step in made.files:
        if step.stages:
            lines.append(f"0 {'0' * 40}\t{prefix}{step.path}\n")
        for number, (mode, content) in step.stages.items():
            blob = git(project.root, "hash-object", "-w", str(folder / content)).decode().strip()
            lines.append(f"{mode} {blob} {number}\t{prefix}{step.path}\n")
    if lines:
        git(project.root, "update-index", "--index-info", given="".join(lines).encode())


def unresolved(project: Project) -> list[str]:
    """The files whose conflict nobody has resolved yet."""
    said = git(project.root, "ls-files", "--unmerged", "-z").decode("utf-8", "replace").split("\0")
    return sorted({entry.partition("\t")[2] for entry in said if entry})
