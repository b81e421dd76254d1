"""What the local target remembers between two commands: its slots, the releases before, and who may change them now."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from pushline.errors import TargetError
from pushline.files import cannot_write, write_json
from pushline.release.target import Tell
from pushline.results import Release

REMEMBERED = 5  # releases before the live one that can be rolled back to
WAIT_S = 180.0  # a promotion drains for seconds, a slow machine takes its time to load a model


class Process(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A supervisor that was started, told apart from a later process with the same number."""

    pid: int
    started: str  # of this boot, as the kernel counts; empty where it can't be asked
    control: str  # unix socket


class Slot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A release and the process that serves it; without one it was stopped."""

    release: Release
    url: str
    process: Process | None


class State(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The slots, and the releases that were live before, newest last."""

    live: Slot | None = None
    candidate: Slot | None = None
    coming: Process | None = None  # started to become live; a command that was killed meanwhile leaves it here
    history: tuple[Release, ...] = ()

    @property
    def releases(self) -> tuple[Release, ...]:
        """All that are still needed."""
        slots = (slot.release for slot in (self.live, self.candidate) if slot)
        return (*self.history, *slots)


class Record:
    """The state in its file, and the lock that commands take before they change it."""

    def __init__(self, folder: Path, here: Callable[[Release], Release]) -> None:
        """`here` gives a release its model on this machine."""
        self.here = here
        self.file = folder / "local-target.json"
        self.lock = folder / "local-target.lock"

    def read(self) -> State:
        """The state; a file that can't be understood is kept aside, and nothing is remembered.

        Models are where this checkout keeps them: it may have been moved, or come from another machine.
        """
        try:
            state = msgspec.json.decode(self.file.read_bytes(), type=State)
            return msgspec.structs.replace(
                state,
                live=state.live and msgspec.structs.replace(state.live, release=self.here(state.live.release)),
                candidate=state.candidate and msgspec.structs.replace(state.candidate, release=self.here(state.candidate.release)),
                history=tuple(self.here(release) for release in state.history),
            )
        except FileNotFoundError:
            return State()
        except msgspec.DecodeError:
            with contextlib.suppress(OSError):
                self.file.replace(self.file.with_suffix(".unreadable"))
            return State()
        except OSError as error:
            raise TargetError(f"{self.file} can't be read.", why=str(error), do="Make it readable for you.") from error

    def write(self, state: State) -> None:
        write_json(self.file, msgspec.structs.replace(state, history=state.history[-REMEMBERED:]))

    @contextlib.contextmanager
    def held(self, tell: Tell, *, wait_s: float = WAIT_S) -> Iterator[None]:
        """One command at a time changes the target; the next waits, bounded."""
        with self._opened() as handle:
            if not taken(handle):
                tell("Waiting for another command to finish with the target.")
                until = time.monotonic() + wait_s
                while not taken(handle):
                    if time.monotonic() > until:
                        raise TargetError(
                            "Another command is busy with the target.",
                            why=f"It has held {self.lock} for over {wait_s:g} s.",
                            do="Wait for it or interrupt it, then run this command again.",
                        )
                    time.sleep(0.05)
            yield

    @contextlib.contextmanager
    def held_if_free(self) -> Iterator[bool]:
        """The lock where nobody has it: False where somebody does, or the folder can't be written."""
        try:
            opened = self._opened()
            handle = opened.__enter__()
        except TargetError:
            yield False
            return
        try:
            yield taken(handle)
        finally:
            opened.__exit__(None, None, None)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            self.lock.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise cannot_write(self.lock, error) from error
        try:
            yield handle
        finally:
            os.close(handle)


def taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
