"""What the local target remembers, between versions of Pushline: the last three formats and one to come."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from pushline.errors import TargetError
from pushline.release.folders import RECORD, ReleaseFolders, ReleaseManifest
from pushline.release.state import LocalRecord, LocalState
from pushline.results import Release
from pushline.settings import Serving


def release(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"v{number}-abc",
        "model_name": "m",
        "model_version": str(number),
        "git_revision": "abc",
        "model": f"/elsewhere/.pushline/releases/v{number}-abc/model",
        **more,
    }


def slot(number: int, **more: Any) -> dict[str, Any]:
    process = {"pid": 4_000_000 + number, "started": f"boot:{number}", "control": "/elsewhere/.pushline/run/a.sock"}
    return {"release": release(number), "url": "http://127.0.0.1:8123", "process": process, **more}


# As the versions wrote it: the first with the log of a slot, the second without, the third with what is about to go live.
WRITTEN: dict[str, dict[str, Any]] = {
    "with logs": {"live": slot(2, log="/elsewhere/live.jsonl"), "candidate": None, "history": [release(1)]},
    "without logs": {"live": slot(2), "candidate": slot(3), "history": [release(1)]},
    "with what is coming": {"live": slot(2), "candidate": None, "coming": slot(3)["process"], "history": [release(1)]},
    "one to come": {"live": slot(2, weight=0.9), "candidate": None, "coming": None, "history": [release(1, approved_by="x")], "epoch": 7},
}


class StrictRelease(Struct, kw_only=True, forbid_unknown_fields=True):
    id: str
    model_name: str
    model_version: str
    git_revision: str
    model: str


class StrictProcess(Struct, kw_only=True, forbid_unknown_fields=True):
    pid: int
    started: str
    control: str


class StrictSlot(Struct, kw_only=True, forbid_unknown_fields=True):
    release: StrictRelease
    url: str
    process: StrictProcess | None


class StrictState(Struct, kw_only=True, forbid_unknown_fields=True):
    """How the versions before this one read it: whatever they do not know makes them forget all of it."""

    live: StrictSlot | None = None
    candidate: StrictSlot | None = None
    coming: StrictProcess | None = None
    history: tuple[StrictRelease, ...] = ()


class StrictKept(Struct, kw_only=True, forbid_unknown_fields=True):
    release: StrictRelease
    sha256: dict[str, str]
    serving: dict[str, str | int | float | bool | None] = {}


@pytest.fixture
def record(tmp_path: Path) -> LocalRecord:
    return LocalRecord(tmp_path, ReleaseFolders(tmp_path / "releases").here)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_state_of_another_version_is_read_and_kept_whole(record: LocalRecord, written: str) -> None:
    record.file.write_bytes(msgspec.json.encode(WRITTEN[written]))
    state = record.read()
    assert state.live is not None
    assert state.live.release.id == "v2-abc"
    assert [each.id for each in state.history] == ["v1-abc"]
    record.write(state)
    after = msgspec.json.decode(record.file.read_bytes())
    for name, said in WRITTEN[written].items():
        assert without_models(after[name]) == without_models(said)


def without_models(document: Any) -> Any:
    """Models are where this checkout keeps them."""
    if isinstance(document, dict):
        return {name: without_models(value) for name, value in document.items() if name != "model"}
    return [without_models(each) for each in document] if isinstance(document, list) else document


def test_the_versions_before_read_what_this_one_writes_of_releases_that_are_not_signed(record: LocalRecord) -> None:
    record.file.write_bytes(msgspec.json.encode(WRITTEN["with what is coming"]))
    record.write(record.read())
    assert msgspec.json.decode(record.file.read_bytes(), type=StrictState).history[0].id == "v1-abc"


def test_what_is_kept_of_a_release_is_read_by_versions_before_and_keeps_what_later_ones_say(tmp_path: Path) -> None:
    folders = ReleaseFolders(tmp_path)
    of = msgspec.convert(release(1), Release)
    file = tmp_path / of.id / RECORD
    file.parent.mkdir()
    file.write_bytes(msgspec.json.encode(ReleaseManifest(release=of, sha256={"model.onnx": "0"})))
    folders.promoted(of, Serving(max_rows=3))
    assert msgspec.json.decode(file.read_bytes(), type=StrictKept).serving["max_rows"] == 3
    file.write_bytes(msgspec.json.encode(msgspec.json.decode(file.read_bytes()) | {"signature": "s"}))
    folders.promoted(of, Serving(max_rows=4))
    assert msgspec.json.decode(file.read_bytes())["signature"] == "s"
    assert folders.settings_of(of, Serving()).max_rows == 4


def test_a_state_that_can_not_be_understood_is_never_written_over(record: LocalRecord) -> None:
    record.file.write_bytes(b'{"live": 7}')
    with pytest.raises(TargetError, match="can't be understood"):
        record.write(LocalState())
    assert record.file.read_bytes() == b'{"live": 7}'
    assert [file.name for file in record.file.parent.iterdir()] == ["local-target.json"]
