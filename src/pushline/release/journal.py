"""The log of the live release: JSON lines that may be rotated under the reader's hands."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from pushline.release.target import LogEntry

LOOK_S = 0.2
FAILURES = frozenset({"warning", "error", "critical"})


def entries(
    file: Path, *, since: float | None, errors: bool, follow: bool, ended: Callable[[], bool] = lambda: False
) -> Iterator[LogEntry]:
    """Entries of a log and of the part rotated away before it, oldest first; `follow` waits for more until `ended`."""
    start = datetime.now(UTC) - timedelta(seconds=since) if since is not None else None

    def wanted(entry: LogEntry) -> bool:
        return (start is None or entry.at >= start) and (not errors or entry.level in FAILURES)

    rotated = file.with_name(file.name + ".1")
    if rotated.is_file():
        with rotated.open("rb") as stream:
            yield from filter(wanted, read(stream.readlines()))
    yield from filter(wanted, read(lines_of(file, follow=follow, ended=ended)))


def lines_of(file: Path, *, follow: bool, ended: Callable[[], bool]) -> Iterator[bytes]:
    """Whole lines of a file; with `follow` also those to come, and those of the file that takes its place."""
    rest = b""
    stream = None
    try:
        while True:
            last = not follow or ended()  # asked before reading, so that nothing written before the end is missed
            if stream is None and file.is_file():
                stream = file.open("rb")
            part = stream.read(1 << 20) if stream else b""
            if part:
                *whole, rest = (rest + part).split(b"\n")
                yield from whole
                continue
            if stream is not None and replaced(file, stream.fileno(), stream.tell()):
                stream.close()
                stream, rest = None, b""
                continue
            if last:
                return
            time.sleep(LOOK_S)
    finally:
        if stream is not None:
            stream.close()


def replaced(file: Path, handle: int, position: int) -> bool:
    """Whether another file has this name now, or the file was cut."""
    try:
        now, read_from = file.stat(), os.fstat(handle)
    except FileNotFoundError:
        return False
    return now.st_ino != read_from.st_ino or now.st_size < position


def read(lines: Iterator[bytes] | list[bytes]) -> Iterator[LogEntry]:
    """The entries in lines; one that was cut by a crash is left out."""
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=LogEntry)
        except msgspec.DecodeError:
            continue
