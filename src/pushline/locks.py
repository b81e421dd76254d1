"""Who may change something now: an exclusive lock on a file, with a note of who holds it. It ends with its process."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pushline.errors import Busy
from pushline.files import cannot_write

GRACE_S = 0.3  # somebody who only looks holds it for moments
LOOK_S = 0.02


@contextmanager
def locked(
    file: Path, doing: str = "", *, wait_s: float = GRACE_S, waiting: Callable[[str], None] | None = None, also: str = ""
) -> Iterator[int]:
    """Hold `file`'s lock as `doing`, by default this command; the descriptor that holds it.

    Whoever comes second waits for `wait_s`, and `waiting` is told once who is waited for. Raises Busy, which names the holder
    and says `also`, after that; TargetError where the file can't be made.
    """
    handle = opened(file)
    try:
        take(handle, file, wait_s, waiting, also)
        with suppress(OSError):  # a full disk does not stop anybody from holding a lock
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{doing or command()} (process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def command() -> str:
    """What a person typed to start this process."""
    from click import get_current_context

    context = get_current_context(silent=True)
    return f"`{context.command_path}`" if context else "Another command"


def opened(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(file, error) from error


def take(handle: int, file: Path, wait_s: float, waiting: Callable[[str], None] | None, also: str) -> None:
    until, told = time.monotonic() + wait_s, waiting is None
    while not taken(handle):
        holder = noted(handle)
        if time.monotonic() >= until:
            raise Busy(
                f"{holder} is at work here.",
                why=f"It holds {file}; two at once would mix what they leave.",
                do=f"Wait for it or interrupt it, then run this command again.{also and ' '}{also}",
            )
        if not told and waiting is not None:
            waiting(f"Waiting for {holder}.")
            told = True
        time.sleep(LOOK_S)


def taken(handle: int) -> bool:
    """Whether the lock is this handle's from now on."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def noted(handle: int) -> str:
    return os.pread(handle, 200, 0).decode(errors="replace").strip() or "Another command"


def holder_of(file: Path) -> str:
    """Who holds a lock; empty where nobody does. Leaves the file as it is."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return noted(handle)
    finally:
        os.close(handle)
    return ""
