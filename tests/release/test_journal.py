import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pushline.release.journal import entries
from pushline.release.target import LogEntry


def line(event: str, *, level: str = "info", age: float = 0) -> bytes:
    return msgspec.json.encode(LogEntry(at=datetime.now(UTC) - timedelta(seconds=age), level=level, event=event)) + b"\n"


def events(file: Path, *, since: float | None = None, errors: bool = False) -> list[str]:
    return [entry.event for entry in entries(file, since=since, errors=errors, follow=False)]


def test_what_was_rotated_away_comes_first(tmp_path: Path) -> None:
    (tmp_path / "live.jsonl.1").write_bytes(line("old"))
    (tmp_path / "live.jsonl").write_bytes(line("new"))
    assert events(tmp_path / "live.jsonl") == ["old", "new"]


def test_entries_are_chosen_by_age_and_level(tmp_path: Path) -> None:
    file = tmp_path / "live.jsonl"
    file.write_bytes(line("a", age=100) + line("b", level="warning", age=100) + line("c") + line("d", level="error"))
    assert events(file, since=60) == ["c", "d"]
    assert events(file, errors=True) == ["b", "d"]
    assert events(file, since=60, errors=True) == ["d"]


@pytest.mark.parametrize("rubbish", [b"{\n", b'{"at": "yesterday"}\n', b"\x00\x00\n", b"\n", b"[]\n"])
def test_a_line_that_is_no_entry_is_left_out(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "live.jsonl").write_bytes(line("a") + rubbish + line("b"))
    assert events(tmp_path / "live.jsonl") == ["a", "b"]


def test_a_log_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert events(tmp_path / "live.jsonl") == []


def add(text: bytes) -> Callable[[Path], None]:
    def write(file: Path) -> None:
        with file.open("ab") as stream:
            stream.write(text)

    return write


def rotate(file: Path) -> None:
    file.replace(file.with_name(file.name + ".1"))


def test_following_reads_on_where_a_line_was_half_written_and_the_file_rotated(tmp_path: Path) -> None:
    file = tmp_path / "live.jsonl"
    file.write_bytes(line("a"))
    whole = line("b")
    steps = iter([add(whole[:10]), add(whole[10:]), rotate, add(line("c"))])
    ended = threading.Event()

    def step() -> bool:
        """Asked before each look at the file: the log's writer goes one step, or has ended."""
        action = next(steps, None)
        if action is None:
            ended.set()
        else:
            action(file)
        return ended.is_set()

    followed = entries(file, since=None, errors=False, follow=True, ended=step)
    assert [entry.event for entry in itertools.islice(followed, 3)] == ["a", "b", "c"]
    assert list(followed) == []
