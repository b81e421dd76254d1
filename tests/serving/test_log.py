"""The log never waits: what can't be written is lost and counted."""

import os
from pathlib import Path

import msgspec

from pushline.release.target import LogEntry
from pushline.serving import log as logging
from pushline.serving.log import Log


def entries(file: Path) -> list[LogEntry]:
    return [msgspec.json.decode(line, type=LogEntry) for line in file.read_bytes().splitlines()]


def test_a_line_has_the_shape_that_logs_shows(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "r1")
    log.add("warning", "refused", status=422)
    log.write()
    (entry,) = entries(tmp_path / "log")
    assert (entry.level, entry.event, entry.release, entry.fields) == ("warning", "refused", "r1", {"status": 422})
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_flood_of_refusals_is_counted_and_not_written(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", "r1")
    for _ in range(10_000):
        log.add_some("warning", "refused")
    log.write()
    written = len(entries(tmp_path / "log"))
    assert written <= 2 * logging.A_SECOND_AT_MOST
    assert written + log.lost == 10_000


def test_a_full_file_is_put_aside_and_others_follow(tmp_path: Path) -> None:
    one, other = Log(tmp_path / "log", "r1"), Log(tmp_path / "log", "r1")
    one.add("info", "first", text="x" * (logging.FILE_BYTES + 1))
    one.write()
    one.put_aside()
    for log in (one, other):
        log.add("info", "second")
        log.write()
    assert [entry.event for entry in entries(tmp_path / "log")] == ["second", "second"]
    assert [entry.event for entry in entries(tmp_path / "log.1")] == ["first"]


def test_a_reader_that_has_stopped_does_not_stop_the_log() -> None:
    reading, writing = os.pipe()
    log = Log(None, "r1")
    log.out = writing
    log.start()
    for _ in range(2 * logging.WAITING_AT_MOST + 5_000):  # the thread may take a queue full with it before it is stuck
        log.add("info", "request", text="x" * 50)
    log.close()
    assert log.thread.is_alive()  # still stuck: neither waited for the reader
    assert log.lost
    os.close(reading)
    log.thread.join(60)
    assert not log.thread.is_alive()
    os.close(writing)


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    log = Log(None, "r1")
    log.out = os.open("/dev/full", os.O_WRONLY)
    log.add("info", "request")
    log.write()
    assert log.lost == 1
    os.close(log.out)
