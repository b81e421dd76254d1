"""A registry that arrives on a machine that has one: nothing of that machine is lost."""

import contextlib
import json
import socket
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushline.errors import RegistryError
from pushline.project import Project
from pushline.registry.travel import folder_of, note_of, pack, unpack


def write_registry(project: Project, run: str, *, control: str = "/gone.sock") -> None:
    """A registry of one training run and one release, as far as travelling is concerned."""
    state = project.state
    for folder in (state / "mlartifacts" / run, state / "releases" / f"v-{run}"):
        folder.mkdir(parents=True)
        (folder / "word.txt").write_text(run, encoding="utf-8")
    with contextlib.closing(sqlite3.connect(state / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS runs (artifact_uri TEXT)")
        database.execute("INSERT INTO runs VALUES (?)", (f"{state}/mlartifacts/{run}",))
    record = {"live": {"release": {"id": f"v-{run}"}, "process": {"control": control}}, "history": [run]}
    (state / "local-target.json").write_text(json.dumps(record), encoding="utf-8")


def runs_in(file: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return [Path(uri).name for (uri,) in database.execute("SELECT artifact_uri FROM runs")]


@pytest.fixture
def packed(project: Project) -> Project:
    """A project with the registry of run `one` in build/registry, whose own has gone on to run `two`."""
    write_registry(project, "one")
    pack(project)
    write_registry(project, "two")
    return project


@pytest.fixture
def control() -> Iterator[str]:
    """The control socket of a release that is live here."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(f"{folder}/c.sock")
        listener.listen()
        yield f"{folder}/c.sock"


def test_what_a_registry_replaces_stays_beside_it(packed: Project) -> None:
    unpack(packed, folder_of(packed), origin="59")
    assert runs_in(packed.state / "mlflow.db") == ["one"]
    assert runs_in(packed.state / "mlflow.db.before") == ["one", "two"]
    assert {folder.name for folder in (packed.state / "mlartifacts").iterdir()} == {"one", "two"}
    assert json.loads((packed.state / "local-target.json").read_text())["history"] == ["one"]
    unpack(packed, folder_of(packed), origin="59")  # again, as after a kill
    assert runs_in(packed.state / "mlflow.db.before") == ["one", "two"]


def test_the_record_of_a_release_that_is_live_here_stays(packed: Project, control: str) -> None:
    record = packed.state / "local-target.json"
    record.write_text(record.read_text().replace("/gone.sock", control), encoding="utf-8")
    (packed.state / "releases" / "v-one" / "word.txt").write_text("as it serves", encoding="utf-8")
    before = record.read_bytes()
    unpack(packed, folder_of(packed), origin="59")
    assert record.read_bytes() == before
    assert (packed.state / "releases" / "v-one" / "word.txt").read_text() == "as it serves"
    assert runs_in(packed.state / "mlflow.db") == ["one"]


def test_a_record_that_can_not_be_understood_keeps_the_registry_as_it_was(packed: Project) -> None:
    (packed.state / "local-target.json").write_text('{"live": 7}', encoding="utf-8")
    with pytest.raises(RegistryError, match="can't be understood, so nothing was changed"):
        unpack(packed, folder_of(packed), origin="59")
    assert runs_in(packed.state / "mlflow.db") == ["one", "two"]


def test_a_note_of_a_later_version_is_read(packed: Project) -> None:
    file = folder_of(packed) / "registry.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"signature": "s"}), encoding="utf-8")
    note = note_of(folder_of(packed))
    assert note is not None
    assert unpack(packed, folder_of(packed), origin="").sha256 == note.sha256
