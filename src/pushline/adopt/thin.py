"""`pushline adopt --thin`: a repository that adopted its table while the engine was a part of it, brought to the small form.

What its owner wrote is told from what the template and adopt wrote by the commit that adopted the table. Files of theirs stay;
a file that both have is merged by lines; what they changed of the engine itself becomes a patch beside the repository's files.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from pushline.adopt.git import committed
from pushline.adopt.journal import Change, bytes_of
from pushline.data.contract.contract import Contract
from pushline.data.sources.lock import load_lock
from pushline.errors import SettingsError
from pushline.project import Project
from pushline.results import Scalar
from pushline.template.answers import Answers, Engine, EngineSource, Record, RecordedDraft
from pushline.template.manifest import ENGINE, TABLE
from pushline.template.render import render
from pushline.template.wheel import own_wheel

RECORD = "data_checks/adopted.json"
PATCH = "engine-changes.patch"
CODE = ("src/pushline/", "src/.amlignore")
TEXTS = ("README.md", "CONTRIBUTING.md")  # wholly other in the small form


class Adopted(Struct, frozen=True, kw_only=True):
    """The record of an adoption as it was written then."""

    schema: Literal[1] = 1
    file: str
    contract: Contract
    settings: dict[str, Scalar]
    files: dict[str, str] = {}


def plan_thin(project: Project, engine: EngineSource) -> tuple[tuple[Change, ...], list[str]]:
    """The files that change, and what a person should know of it. Raises SettingsError where nothing like it was adopted here."""
    root = project.root
    start = first_adoption(root)
    ours, then = committed(root), committed(root, start)
    made = render(record_of(project, engine), own_wheel())
    told: list[str] = []
    files: dict[str, bytes | None] = {RECORD: None}
    for path in ours:
        if path.startswith(ENGINE) and path not in made and path in then:
            if ours[path] == then[path] or path.startswith(CODE):
                files[path] = None
            else:
                told.append(f"{path} stays: you changed it; it is not a part of the small form")
    if any(then.get(path) != ours.get(path) for path in {*ours, *then} if path.startswith(CODE)):
        files[PATCH] = output(root, "diff", "--binary", start, "HEAD", "--", *CODE)
        told.append(f"{PATCH} holds what you changed of the engine: it has no effect any more")
    for path, content in made.items():
        files[path] = merged_file(root, path, start, content, ours, then, told)
    changes = ((path, bytes_of(root / path), content) for path, content in sorted(files.items()))
    return tuple(Change(path=path, before=before, after=after) for path, before, after in changes if before != after), told


def record_of(project: Project, engine: EngineSource) -> Record:
    try:
        before = msgspec.json.decode((project.root / RECORD).read_bytes(), type=Adopted)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(f"{RECORD} can't be read.", why=f"{error}.", do="Restore it from git.") from error
    pinned = load_lock(project.data_lock).files[0]
    draft = RecordedDraft(file=before.file, contract=before.contract, settings=before.settings, pinned=pinned, files=before.files)
    table: Literal["address", "machine"] = "address" if any(source.url for source in pinned.sources) else "machine"
    return Record(engine=Engine(version="", sha256="", source=engine), answers=Answers(table=table, draft=draft))


def merged_file(
    root: Path, path: str, start: str, content: bytes, ours: dict[str, str], then: dict[str, str], told: list[str]
) -> bytes | None:
    """What is to stand in a file of the small form."""
    now = bytes_of(root / path)
    if now is None or (path in then and ours.get(path) == then[path] and path not in TABLE):
        return content
    if path not in then or path in (*TABLE, *TEXTS):
        return now
    before = output(root, "cat-file", "blob", then[path])
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("yours", "before", "new")]
        for place, each in zip(places, (now, before, content), strict=True):
            place.write_bytes(each)
        ran = subprocess.run(["git", "merge-file", "-p", *map(str, places)], cwd=folder, capture_output=True, check=False)
    if ran.returncode:
        told.append(f"{path} has a conflict: you and the template changed the same lines, both stand there")
    return ran.stdout


def first_adoption(root: Path) -> str:
    """The commit that adopted a table. Raises SettingsError where there is none."""
    found = output(root, "log", "--diff-filter=A", "--format=%H", "--", RECORD).decode().split()
    if not found or not (root / RECORD).is_file():
        raise SettingsError(
            "This repository did not adopt a table while the engine was a part of it.",
            why=f"{RECORD} is in no commit.",
            do="In a clone of the template: `pushline adopt FILE --label COLUMN`. In a small repository: `pushline upgrade`.",
        )
    return found[-1]


def output(root: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True).stdout
