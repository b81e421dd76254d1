"""`pushline`, killed at its n-th write, rename, unlink or fsync, or met there by a full disk.

    crash.point LIST MODE NUMBER ROOT ARGUMENTS…

Counts what the command does to files below ROOT: Python's own calls, and each commit of SQLite. MODE `count` leaves the points in the
file LIST; `kill` ends the process at point NUMBER by SIGKILL, a write half done; `full` lets the disk be full from there on.
"""

import builtins
import io
import os
import runpy
import signal
import sqlite3
import sqlite3.dbapi2
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

NEEDS_SPACE = {"open", "write", "pwrite", "mkdir", "rename", "replace", "symlink", "link", "fsync", "commit", "sendfile"}
BY_PATH = ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "chmod", "truncate", "symlink", "link")
BY_DESCRIPTOR = ("fsync", "write", "pwrite", "ftruncate")
NO_POINT = ".pushline/took"  # how long a command took is written after its work, and only where it took long
ONLY_COUNTED = ("fsync",)  # what a killed process has written stays without it; only a power cut would tell, and it takes most of the time


class Points:
    """Counts, and ends the process where it shall end."""

    def __init__(self, mode: str, number: int, root: str) -> None:
        self.mode, self.number, self.root = mode, number, root
        self.seen: list[str] = []
        self.lock = threading.Lock()

    def reached(self, what: str, where: Any, *, half: Callable[[], Any] | None = None) -> None:
        """A point; does `half` of the work before the process is killed there."""
        place = self.place_of(where)
        if place is None:
            return
        with self.lock:
            self.seen.append(f"{what} {place}")
            here = len(self.seen)
        if self.mode == "kill" and here == self.number:
            if half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "full" and here >= self.number and what in NEEDS_SPACE:
            if what == "commit":
                raise sqlite3.OperationalError("database or disk is full")
            raise OSError(28, "No space left on device", place)

    def place_of(self, where: Any) -> str | None:
        """The path below the root, as far as it can be told."""
        try:
            path = str(opened_at(where) if isinstance(where, int) else Path(os.fsdecode(where)).absolute())
        except (OSError, TypeError):
            return None
        place = path.removeprefix(f"{self.root}/")
        return None if place == path or place.startswith(NO_POINT) else place


def beneath(path: Any, directory: int | None) -> Any:
    return path if directory is None else opened_at(directory) / os.fsdecode(path)


def opened_at(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def interpose(points: Points) -> None:
    """Let every call that changes a file be a point."""
    for name in BY_PATH:
        patch_by_path(points, name)
    for name in BY_DESCRIPTOR:
        patch_by_descriptor(points, name)
    real_open, real_os_open = builtins.open, os.open

    def opening(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        writes = not isinstance(file, int) and any(letter in mode for letter in "wax+")
        if writes:
            points.reached("open", file)
        stream = real_open(file, mode, *arguments, **options)
        if writes or any(letter in mode for letter in "wax+"):
            watch(points, stream)
        return stream

    def os_opening(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and flags & os.O_TMPFILE != os.O_TMPFILE:
            points.reached("open", beneath(path, options.get("dir_fd")))
        return real_os_open(path, flags, *arguments, **options)

    builtins.open = io.open = opening  # type: ignore[assignment]
    os.open = os_opening
    patch_sqlite(points)


def patch_by_path(points: Points, name: str) -> None:
    real = getattr(os, name)

    def call(path: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(path, int):
            points.reached(name, beneath(path, options.get("dir_fd", options.get("src_dir_fd"))))
        return real(path, *arguments, **options)

    setattr(os, name, call)


def patch_by_descriptor(points: Points, name: str) -> None:
    real = getattr(os, name)

    def call(descriptor: int, *arguments: Any) -> Any:
        points.reached(name, descriptor)
        return None if name in ONLY_COUNTED else real(descriptor, *arguments)

    setattr(os, name, call)


def watch(points: Points, stream: Any) -> None:
    """Let the writes of a stream be points."""
    try:
        number, real = stream.fileno(), stream.write
    except (OSError, AttributeError, ValueError):
        return

    def write(content: Any) -> Any:
        def half() -> None:
            real(content[: len(content) // 2])
            stream.flush()

        points.reached("write", number, half=half)
        return real(content)

    stream.write = write


def patch_sqlite(points: Points) -> None:
    """Let commits be points: between them SQLite itself is atomic."""
    real = sqlite3.connect

    def connect(database: Any, *arguments: Any, **options: Any) -> Any:
        class Counted(sqlite3.Connection):
            def commit(self) -> None:
                points.reached("commit", str(database).removeprefix("file:").partition("?")[0])
                super().commit()

        return real(database, *arguments, **{"factory": Counted, **options})

    sqlite3.connect = sqlite3.dbapi2.connect = connect  # type: ignore[assignment]


def main() -> None:
    listed, mode, number, root, *arguments = sys.argv[1:]
    points = Points(mode, int(number), root)
    sys.argv = ["pushline", *arguments]
    leave = Path(listed).write_text  # before anything is interposed
    interpose(points)
    try:
        runpy.run_module("pushline", run_name="__main__", alter_sys=True)
    finally:
        points.mode = "over"
        if mode == "count":
            leave("\n".join(points.seen), encoding="utf-8")


if __name__ == "__main__":
    main()
