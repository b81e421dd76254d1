"""How a local registry travels from one machine to the next: one archive, its sha256, and paths that follow it.

What travels is the registry (MLflow's tables and files) and what the local target remembers of its releases, so that a release
can be started again, or rolled back, where the process that served it is gone. Keys, caches and logs stay.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import tarfile
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.errors import RegistryError
from pushline.files import cannot_write, write_json
from pushline.project import Project

ARCHIVE, NOTE, ORIGIN = "registry.tar.gz", "registry.json", "registry-origin.json"
DATABASE = "mlflow.db"
FOLDERS = ("mlartifacts", "releases")
RECORDS = ("local-target.json",)
# Where MLflow keeps paths of this machine.
PATHS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)


class Note(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


def pack(project: Project, *, released: bool = False) -> Note:
    """Put the registry of this machine into `build/registry/`; `released` says that this run has just released or rolled back.

    Raises RegistryError where there is none.
    """
    if not (project.state / DATABASE).is_file():
        raise RegistryError(
            "There is no registry to pack.",
            why=f"{project.state / DATABASE} does not exist.",
            do="Train a model first: `pushline train`.",
        )
    place = folder_of(project)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place) as scratch:
            copy = Path(scratch) / DATABASE
            with contextlib.closing(sqlite3.connect(project.state / DATABASE)) as source, contextlib.closing(sqlite3.connect(copy)) as to:
                source.backup(to)  # whole, also while somebody writes
            half = Path(scratch) / ARCHIVE
            with tarfile.open(half, "w:gz", compresslevel=1) as archive:
                archive.add(copy, DATABASE)
                for name in (*FOLDERS, *RECORDS):
                    if (project.state / name).exists():
                        archive.add(project.state / name, name)
            digest = sha256_of(half)
            half.replace(place / ARCHIVE)
    except OSError as error:
        raise cannot_write(place, error) from error
    run, origin = os.environ.get("GITHUB_RUN_ID", ""), origin_of(project)
    note = Note(
        sha256=digest,
        root=str(project.root),
        revision=project.git_revision,
        run=run,
        based_on=origin.get("run", ""),
        release=run if released else origin.get("release", ""),
    )
    write_json(place / NOTE, note)
    return note


def origin_of(project: Project) -> dict[str, str]:
    """The run whose registry this machine's continues, and the run that released last in it."""
    try:
        return msgspec.json.decode((project.state / ORIGIN).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def note_of(folder: Path) -> Note | None:
    """What stands beside the archive in `folder`; None where none lies there. Raises RegistryError for a damaged one."""
    file = folder / NOTE
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError) as error:
        raise damaged(folder, f"{NOTE}: {error}") from error


def unpack(project: Project, folder: Path, *, origin: str) -> Note:
    """Make the archive in `folder` this machine's registry; `origin` is the run it continues.

    Raises RegistryError, leaving the registry as it was, where the archive is not the one that was packed.
    """
    note = note_of(folder)
    if note is None or not (folder / ARCHIVE).is_file():
        raise damaged(folder, "it is not there")
    if (seen := sha256_of(folder / ARCHIVE)) != note.sha256:
        raise damaged(folder, f"its sha256 is {seen[:12]}, recorded was {note.sha256[:12]}")
    half = project.state / ".registry-half"
    shutil.rmtree(half, ignore_errors=True)
    try:
        half.mkdir(parents=True)
        with tarfile.open(folder / ARCHIVE) as archive:
            archive.extractall(half, filter="data")
        relocate(half, note.root, str(project.root))
        for name in (DATABASE, *FOLDERS, *RECORDS):
            remove(project.state / name)
            if (half / name).exists():
                (half / name).replace(project.state / name)
    except (tarfile.TarError, sqlite3.Error) as error:
        raise damaged(folder, str(error)) from error
    except OSError as error:
        raise cannot_write(project.state, error) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    write_json(project.state / ORIGIN, {"run": origin, "release": note.release})
    return note


def relocate(state: Path, old: str, new: str) -> None:
    """Let every path of `old` in an unpacked registry say `new`."""
    with contextlib.closing(sqlite3.connect(state / DATABASE)) as database, database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, column in PATHS:
            if table in tables:
                database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (f"{old}/", f"{new}/"))  # noqa: S608 - names from PATHS
    records = [state / name for name in RECORDS] + list((state / "releases").glob("*/release.json"))
    for record in records:
        if record.is_file():
            record.write_bytes(record.read_bytes().replace(f'"{old}/'.encode(), f'"{new}/'.encode()))


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def damaged(folder: Path, why: str) -> RegistryError:
    return RegistryError(
        f"The packed registry in {folder} can't be used.",
        why=f"{why}.",
        do="Download it again, or take the one of an earlier run; the registry of this machine is as it was.",
    )
