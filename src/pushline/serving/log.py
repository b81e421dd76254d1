"""The structured log: JSON lines of one shape, written by a thread of its own.

A line is `{"at", "level", "event", "release", "fields"}`. The requests' side only appends to a bounded queue, so a slow
disk or a reader that has stopped costs lines (counted), never answers.
"""

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from pushline.files import cannot_write

Level = Literal["info", "warning", "error"]
WAITING_AT_MOST = 20_000
EVERY_S = 0.2
FILE_BYTES = 32 * 1024 * 1024
A_SECOND_AT_MOST = 500  # lines about refused requests: a flood of them must not become a flood of log


class Log:
    """The log of one process: to a file, or to standard output."""

    def __init__(self, file: Path | None, release: str) -> None:
        self.release = release
        self.lost = 0
        self.waiting: deque[tuple[float, Level, str, dict[str, Any]]] = deque()
        self.second = 0
        self.this_second = 0
        self.file = file
        self.also: Callable[[], None] | None = None  # what else this thread writes
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.keep_writing, name="log", daemon=True)
        self.out = sys.stdout.fileno()
        self.opened = False  # whether `out` is ours to close
        self.open()

    def open(self) -> None:
        """Write to what has the file's name now: the supervisor puts a full file aside."""
        if self.file is None:
            return
        with contextlib.suppress(OSError):
            if self.opened and self.file.stat().st_ino == os.fstat(self.out).st_ino:
                return
        try:
            out = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if self.opened:
                return
            raise cannot_write(self.file, error) from error
        if self.opened:
            os.close(self.out)
        self.out, self.opened = out, True

    def put_aside(self) -> None:
        """Rename a full file; only one process may do this."""
        with contextlib.suppress(OSError):
            if self.file is not None and self.file.stat().st_size > FILE_BYTES:
                self.file.replace(self.file.with_name(self.file.name + ".1"))
                self.open()

    def start(self) -> None:
        self.thread.start()

    def add(self, level: Level, event: str, **fields: Any) -> None:
        """Put a line into the queue; a full queue loses it."""
        if len(self.waiting) >= WAITING_AT_MOST:
            self.lost += 1
            return
        self.waiting.append((time.time(), level, event, fields))

    def add_some(self, level: Level, event: str, **fields: Any) -> None:
        """As `add`, but no more than so many a second."""
        now = int(time.monotonic())
        if now != self.second:
            self.second, self.this_second = now, 0
        self.this_second += 1
        if self.this_second > A_SECOND_AT_MOST:
            self.lost += 1
            return
        self.add(level, event, **fields)

    def keep_writing(self) -> None:
        stopping = False
        while not stopping:
            stopping = self.stopping.wait(EVERY_S)
            try:
                self.write()
            except Exception as error:  # noqa: BLE001 - one line that can't be written must not silence those after it
                self.lost += 1
                self.add("error", "log", message=f"{type(error).__name__}: {error}")

    def write(self) -> None:
        """Write what is waiting."""
        if self.also is not None:
            self.also()
        lines = []
        while self.waiting:
            at, level, event, fields = self.waiting.popleft()
            moment = datetime.fromtimestamp(at, UTC)
            lines.append(
                msgspec.json.encode({"at": moment, "level": level, "event": event, "release": self.release, "fields": fields}) + b"\n"
            )
        if not lines:
            return
        content = memoryview(b"".join(lines))
        self.open()
        try:
            while content:
                content = content[os.write(self.out, content) :]
        except OSError:  # a full disk, or a reader that is gone
            self.lost += len(lines)

    def close(self) -> None:
        """Write what is waiting and stop. A stuck reader is not waited for."""
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join(timeout=1)
