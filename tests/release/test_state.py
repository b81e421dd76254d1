"""What the local target remembers, between versions of Pushline: the last three formats and one to come."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from pushline.errors import TargetError
from pushline.release.folders import RECORD, ReleaseFolders, ReleaseManifest
from pushline.release.process import Process
from pushline.release.state import REMEMBERED, LocalRecord, LocalState
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


def test_models_are_where_this_checkout_keeps_them(record: LocalRecord, tmp_path: Path) -> None:
    assert record.read() == LocalState()
    record.file.write_bytes(msgspec.json.encode(WRITTEN["without logs"]))
    state = record.read()
    assert state.live is not None
    assert state.candidate is not None
    kept = [one.model for one in (*state.history, state.live.release, state.candidate.release)]
    assert kept == [str(tmp_path / "releases" / f"v{number}-abc" / "model") for number in (1, 2, 3)]
    assert [one.id for one in state.releases] == ["v1-abc", "v2-abc", "v3-abc"]


def test_what_is_known_of_a_process_stays_with_it_and_goes_with_it(record: LocalRecord) -> None:
    document = WRITTEN["one to come"]
    record.file.write_bytes(msgspec.json.encode(document))
    state = record.read()
    assert state.live is not None
    again = msgspec.convert(slot(4)["process"], Process)
    for process, weight in ((again, None), (None, None)):
        record.file.write_bytes(msgspec.json.encode(document))
        record.write(msgspec.structs.replace(state, live=msgspec.structs.replace(state.live, process=process)))
        assert msgspec.json.decode(record.file.read_bytes())["live"].get("weight") is weight
    record.file.unlink()
    record.write(state)
    assert "epoch" not in msgspec.json.decode(record.file.read_bytes())
    record.write(LocalState(history=state.history * 6))
    assert len(record.read().history) == REMEMBERED


def test_a_second_command_says_that_it_waits_until_the_first_has_ended(record: LocalRecord) -> None:
    said: list[str] = []
    holds, goes = threading.Event(), threading.Event()

    def first() -> None:
        with record.held(said.append):
            holds.set()
            goes.wait(60)

    def told(line: str) -> None:
        said.append(line)
        goes.set()

    other = threading.Thread(target=first)
    other.start()
    assert holds.wait(60)
    with record.held(told):
        assert len(said) == 1
        assert said[0].startswith("Waiting for ")
    other.join()


def test_a_state_that_can_not_be_read_says_so(record: LocalRecord) -> None:
    record.file.mkdir()
    with pytest.raises(TargetError) as raised:
        record.read()
    assert raised.value.what == f"{record.file} can't be read."
    assert "Is a directory" in raised.value.why
    assert raised.value.do == "Make it readable for you."


def test_a_state_that_can_not_be_understood_is_never_written_over(record: LocalRecord) -> None:
    record.file.write_bytes(b'{"live": 7}')
    with pytest.raises(TargetError) as raised:
        record.write(LocalState())
    assert raised.value.what == "What the local target remembers can't be understood, so nothing was changed."
    assert raised.value.why.startswith(f"{record.file}: ")
    assert raised.value.do.startswith("Check out the commit that wrote it, or restore the file. What is live goes on; ")
    assert record.file.read_bytes() == b'{"live": 7}'
    assert [file.name for file in record.file.parent.iterdir()] == ["local-target.json"]
