"""Making an adoption so, and taking it back: a journal in .pushline/adopt/ says what was there before, and holds what git does not.

The journal is written before the first file is touched and says at the end that all was done. Where it does not, the
adoption was interrupted; the next one takes it back first, so that it starts from what the interrupted one started from.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from pushline.adopt.git import committed, unsaved
from pushline.errors import SettingsError
from pushline.files import cannot_write, write_atomically
from pushline.progress import Progress
from pushline.project import Project


class Change(Struct, frozen=True, kw_only=True):
    """One file: what stands there and what is to stand there; None for no file."""

    path: str
    before: bytes | None
    after: bytes | None


class Step(Struct, frozen=True, kw_only=True):
    """One file of the journal: sha256 of its content before and after; None for no file."""

    path: str
    before: str | None
    after: str | None
    blob: str | None = None  # where git holds the content before
    mode: int = 0o644


class Journal(Struct, frozen=True, kw_only=True):
    """What an adoption does to the files of the repository. `whole`: all of it was done."""

    schema: Literal[1] = 1
    whole: bool
    steps: tuple[Step, ...]

    @property
    def written(self) -> dict[str, str | None]:
        return {step.path: step.after for step in self.steps}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bytes_of(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def hash_of(file: Path) -> str | None:
    content = bytes_of(file)
    return None if content is None else sha256(content)


def folder_of(project: Project) -> Path:
    return project.state / "adopt"


def load_journal(project: Project) -> Journal | None:
    """The journal of the last adoption; None where there is none. Raises SettingsError for one that can't be read."""
    file = folder_of(project) / "journal.json"
    content = bytes_of(file)
    try:
        return None if content is None else msgspec.json.decode(content, type=Journal)
    except msgspec.DecodeError as error:
        raise SettingsError(
            f"{file} can't be read.", why=f"{error}.", do="`git status` shows what the last adoption changed; then remove the folder."
        ) from error


def save_journal(project: Project, journal: Journal) -> None:
    write_atomically(folder_of(project) / "journal.json", msgspec.json.encode(journal))


def apply(project: Project, changes: Iterable[Change]) -> None:
    """Write and remove the files; where none changes, the adoption before can still be taken back.

    Raises TargetError where the disk refuses.
    """
    wanted = {change.path: change.after for change in changes}
    if not wanted:
        return
    blobs = committed(project.root)
    lost = set(unsaved(project.root, wanted)) if blobs else set(wanted)
    steps = tuple(keep(project, path, after, None if path in lost else blobs.get(path)) for path, after in wanted.items())
    save_journal(project, Journal(whole=False, steps=steps))
    for path, after in wanted.items():
        put(project.root / path, after, mode_of(project.root / path))
    save_journal(project, Journal(whole=True, steps=steps))


def keep(project: Project, path: str, after: bytes | None, blob: str | None) -> Step:
    """Put a copy of the file as it is into the journal's folder, where git has none."""
    file = project.root / path
    before = bytes_of(file)
    if before is not None and blob is None:
        write_atomically(folder_of(project) / sha256(before), before)
    hashes = [sha256(content) if content is not None else None for content in (before, after)]
    return Step(path=path, before=hashes[0], after=hashes[1], blob=blob, mode=mode_of(file))


def mode_of(file: Path) -> int:
    return file.stat().st_mode & 0o777 if file.is_file() else 0o644


def put(place: Path, content: bytes | None, mode: int) -> None:
    try:
        if content is not None:
            write_atomically(place, content, mode=mode)
            return
        place.unlink(missing_ok=True)
        for folder in (folder for folder in place.parents if folder.is_dir()):
            if any(entry.name != "__pycache__" for entry in folder.iterdir()):
                break
            shutil.rmtree(folder)
    except OSError as error:
        raise cannot_write(place, error) from error


def take_back(project: Project, journal: Journal) -> int:
    """Bring back every file as it was before the adoption; how many those are.

    Raises SettingsError, before anything is touched, where a file was changed since then.
    """
    root = project.root
    changed = [step.path for step in journal.steps if not may_stand(step, hash_of(root / step.path), whole=journal.whole)]
    if changed:
        raise SettingsError(
            f"The adoption can't be taken back: {', '.join(changed[:6])}{' and others' * (len(changed) > 6)} changed since.",
            why="What was changed there would be lost.",
            do="Commit or move these changes away and restore the files as adopt left them, or go back with git. Nothing was changed.",
        )
    save_journal(project, msgspec.structs.replace(journal, whole=False))
    for step in journal.steps:
        if hash_of(root / step.path) != step.before:
            put(root / step.path, content_before(project, step), step.mode)
    shutil.rmtree(folder_of(project))
    return len(journal.steps)


def content_before(project: Project, step: Step) -> bytes | None:
    if step.before is None or step.blob is None:
        return None if step.before is None else (folder_of(project) / step.before).read_bytes()
    return subprocess.run(["git", "cat-file", "blob", step.blob], cwd=project.root, capture_output=True, check=True).stdout


def take_back_last(project: Project) -> int:
    """Take the last adoption back; how many files that were. Raises SettingsError where there is none, or a file changed since."""
    journal = load_journal(project)
    if journal is None:
        raise SettingsError(
            "There is no adoption to take back.",
            why=f"{folder_of(project)} holds none: none was made on this machine, or it was taken back already.",
            do="`git log -- template.json` shows the commits that adopted a table.",
        )
    return take_back(project, journal)


def begin(project: Project, *, make: bool, progress: Progress) -> None:
    """Take back an adoption that was interrupted, where another is to be made. Raises SettingsError where it would only be looked at."""
    journal = load_journal(project)
    if journal is None or journal.whole:
        return
    if not make:
        raise SettingsError(
            "An adoption was interrupted halfway.",
            why="The repository is in part that of the table before.",
            do="`pushline adopt --undo` takes it back; the same command with --apply makes it whole.",
        )
    progress(f"An adoption was interrupted: {take_back(project, journal)} files are as they were before it.")


def may_stand(step: Step, now: str | None, *, whole: bool) -> bool:
    """Whether a file is as adopt left it, or halfway through, as it was before."""
    return now == step.after or (not whole and now == step.before)
