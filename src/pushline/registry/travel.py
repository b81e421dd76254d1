"""How a local registry travels from one machine to the next: one archive, its sha256, and paths that follow it.

What travels is the registry (MLflow's tables and files) and what the local target remembers of its releases, so that a release
can be started again, or rolled back, where the process that served it is gone. Keys, caches and logs stay.
"""

import contextlib
import os
import socket
import sqlite3
import tarfile
from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.errors import NotTrusted, RegistryError
from pushline.files import BEFORE, HALF, cannot_write, move, read_json, scratch, sha256_of, whole_file, whole_folder, write_json
from pushline.locks import locked
from pushline.project import Project
from pushline.signing import SIGNATURE, trusted

ARCHIVE, NOTE, ORIGIN = "registry.tar.gz", "registry.json", "registry-origin.json"
DATABASE = "mlflow.db"
FOLDERS = ("mlartifacts", "releases")
RECORD = "local-target.json"
WAIT_S = 180.0
# Where MLflow keeps paths of this machine.
PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


class LocalReleases(Struct):
    """Of the record of releases, what tells whether its live one runs here."""

    control: str


class LiveSlot(Struct):
    process: LocalReleases | None = None


class LiveRelease(Struct):
    live: LiveSlot | None = None


class ArchiveNote(Struct, frozen=True, kw_only=True):
    """What stands beside the archive."""

    sha256: str
    root: str  # the project's folder where it was packed
    revision: str
    run: str  # of GitHub Actions; empty elsewhere
    based_on: str  # the run whose registry this one continues; empty for the first
    release: str = ""  # the run that released or rolled back last


def folder_of(project: Project) -> Path:
    """Where an archive is packed, and where the one to unpack lies."""
    return project.build / "registry"


def pack(project: Project, *, released: bool = False) -> ArchiveNote:
    """Put the registry of this machine into `build/registry/`; `released` says that this run has just released or rolled back.

    Raises RegistryError where there is none.
    """
    if not (project.state / DATABASE).is_file():
        raise RegistryError(
            "There is no registry to pack.",
            why=f"{project.state / DATABASE} does not exist.",
            do="Train a model first: `pushline train`.",
        )
    place, run = folder_of(project), os.environ.get("GITHUB_RUN_ID", "")
    # The run whose registry this machine's continues, and the run that released last in it.
    origin = read_json(project.state / ORIGIN, dict[str, str]) or {}
    with whole_folder(place) as half, target_alone(project):
        copy = half / DATABASE
        back_up(project.state / DATABASE, copy)
        with tarfile.open(half / ARCHIVE, "w:gz", compresslevel=1) as archive:
            archive.add(copy, DATABASE)
            for name in (*FOLDERS, RECORD):
                if (project.state / name).exists():
                    archive.add(project.state / name, name, filter=without_hidden)
        copy.unlink()
        note = ArchiveNote(
            sha256=sha256_of(half / ARCHIVE),
            root=str(project.root),
            revision=project.git_revision,
            run=run,
            based_on=origin.get("run", ""),
            release=run if released else origin.get("release", ""),
        )
        write_json(half / NOTE, note)
    return note


def back_up(database: Path, to: Path) -> None:
    """A whole copy, also while somebody writes, or where somebody was killed while writing."""
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(to)) as copy:
        source.backup(copy)


def without_hidden(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """What killed commands left half made stays at home."""
    return None if Path(entry.name).name.startswith((HALF, BEFORE)) else entry


def target_alone(project: Project) -> contextlib.AbstractContextManager[int]:
    """Nobody changes the target meanwhile."""
    return locked(project.state / "local-target.lock", wait_s=WAIT_S)


def note_of(folder: Path) -> ArchiveNote | None:
    """What stands beside the archive in `folder`; None where none lies there. Raises RegistryError for a damaged one."""
    file = folder / NOTE
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=ArchiveNote)
    except (OSError, msgspec.DecodeError) as error:
        raise damaged(folder, f"{NOTE}: {error}") from error


def unpack(project: Project, folder: Path, *, origin: str) -> ArchiveNote:
    """Make the archive in `folder` this machine's registry; `origin` is the run it continues.

    What it replaces is whole until the new one is: folders are put beside those that are there, then the tables take the place
    of the ones before (kept as `mlflow.db.before`), then the record of releases. Where a release of this machine is live, its
    record stays: it alone knows what runs here. Raises RegistryError, leaving the registry as it was, where the archive is not
    the one that was packed.
    """
    note = note_of(folder)
    if note is None or not (folder / ARCHIVE).is_file():
        raise damaged(folder, "it is not there")
    if (seen := sha256_of(folder / ARCHIVE)) != note.sha256:
        raise damaged(folder, f"its sha256 is {seen[:12]}, recorded was {note.sha256[:12]}")
    state = project.state
    try:
        state.mkdir(parents=True, exist_ok=True)
        with target_alone(project), scratch(state / "registry") as half:
            with tarfile.open(folder / ARCHIVE) as archive:
                archive.extractall(half, filter="data")
            refuse_untrusted(project, half, folder)
            relocate(half, note.root, str(project.root))
            here = serves_here(state)
            for name in FOLDERS:
                (state / name).mkdir(exist_ok=True)
                for entry in sorted((half / name).iterdir()) if (half / name).is_dir() else ():
                    if not (here and (state / name / entry.name).exists()):
                        move(entry, state / name / entry.name)
            if (state / DATABASE).is_file() and sha256_of(state / DATABASE) != sha256_of(half / DATABASE):
                with whole_file(state / f"{DATABASE}.before") as copy:
                    back_up(state / DATABASE, copy)
            move(half / DATABASE, state / DATABASE)
            if not here and (half / RECORD).is_file():
                move(half / RECORD, state / RECORD)
    except (tarfile.TarError, sqlite3.Error) as error:
        raise damaged(folder, str(error)) from error
    except OSError as error:
        raise cannot_write(state, error) from error
    write_json(state / ORIGIN, {"run": origin, "release": note.release})
    return note


def refuse_untrusted(project: Project, unpacked: Path, folder: Path) -> None:
    """Raises RegistryError where a model that is signed is not signed by somebody this repository trusts, or was changed since.

    One without a signature comes from before models were signed: deploy refuses it.
    """
    for signature in sorted((unpacked / FOLDERS[0]).rglob(SIGNATURE)):
        try:
            trusted(signature.parent, project)
        except NotTrusted as error:
            place = signature.parent.relative_to(unpacked)
            raise damaged(folder, f"its model {place} is not to be trusted: {error.why.rstrip('.')}") from error


def serves_here(state: Path) -> bool:
    """Whether the live release of the record runs on this machine. Raises RegistryError where the record can't be understood."""
    try:
        live = msgspec.json.decode((state / RECORD).read_bytes(), type=LiveRelease).live
    except FileNotFoundError:
        return False
    except msgspec.DecodeError as error:
        raise RegistryError(
            "What the local target remembers can't be understood, so nothing was changed.",
            why=f"{state / RECORD}: {error}.",
            do="Check out the commit that wrote it, or restore the file.",
        ) from error
    if live is None or live.process is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(live.process.control)
        except OSError:
            return False
    return True


def relocate(state: Path, old: str, new: str) -> None:
    """Let every path of `old` in an unpacked registry say `new`."""
    with contextlib.closing(sqlite3.connect(state / DATABASE)) as database, database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, column in PATHS:
            if table in tables:
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (f"{old}/", f"{new}/"))  # noqa: S608 - names from PATHS
    records = [state / RECORD, *list((state / "releases").glob("*/release.json"))]
    for record in records:
        if record.is_file():
            record.write_bytes(record.read_bytes().replace(f'"{old}/'.encode(), f'"{new}/'.encode()))


def damaged(folder: Path, why: str) -> RegistryError:
    return RegistryError(
        f"The packed registry in {folder} can't be used.",
        why=f"{why}.",
        do="Download it again, or take the one of an earlier run; the registry of this machine is as it was.",
    )
