"""What the local target remembers between two commands: its slots, the releases before, and who may change them now.

The last three versions read what this one writes, and this one what they and later ones do: fields that it does not know stay."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pushline.errors import TargetError
from pushline.files import with_unknown, write_json
from pushline.locks import locked
from pushline.progress import Progress
from pushline.release.process import Process
from pushline.results import Release

REMEMBERED = 5  # releases before the live one that can be rolled back to
WAIT_S = 180.0  # a promotion drains for seconds, a slow machine takes its time to load a model


class LocalSlot(Struct, frozen=True, kw_only=True):
    """A release and the process that serves it; without one it was stopped."""

    release: Release
    url: str
    process: Process | None

    @property
    def running(self) -> Process | None:
        return self.process if self.process is not None and self.process.alive else None


class LocalState(Struct, frozen=True, kw_only=True):
    """The slots, and the releases that were live before, newest last."""

    live: LocalSlot | None = None
    candidate: LocalSlot | None = None
    coming: Process | None = None  # started to become live or a candidate; a command that was killed meanwhile leaves it here
    history: tuple[Release, ...] = ()

    @property
    def releases(self) -> tuple[Release, ...]:
        """All that are still needed."""
        slots = (slot.release for slot in (self.live, self.candidate) if slot)
        return (*self.history, *slots)


class LocalRecord:
    """The state in its file, and the lock that commands take before they change it."""

    def __init__(self, folder: Path, here: Callable[[Release], Release]) -> None:
        """`here` gives a release its model on this machine."""
        self.here = here
        self.file = folder / "local-target.json"
        self.lock = folder / "local-target.lock"

    def read(self) -> LocalState:
        """The state; an empty one where nothing was ever written. Raises TargetError where it can't be understood.

        Models are where this checkout keeps them: it may have been moved, or come from another machine.
        """
        state = self._decoded(self._content())
        return msgspec.structs.replace(
            state,
            live=state.live and msgspec.structs.replace(state.live, release=self.here(state.live.release)),
            candidate=state.candidate and msgspec.structs.replace(state.candidate, release=self.here(state.candidate.release)),
            history=tuple(self.here(release) for release in state.history),
        )

    def write(self, state: LocalState) -> None:
        """Write the state; what another version says of it, of a slot or of a release stays with it."""
        before = self._content()
        self._decoded(before)
        state = msgspec.structs.replace(state, history=state.history[-REMEMBERED:])
        write_json(self.file, carried(msgspec.to_builtins(state), msgspec.json.decode(before)))

    def held(self, progress: Progress) -> AbstractContextManager[int]:
        """One command at a time changes the target; the next waits, bounded."""
        return locked(self.lock, wait_s=WAIT_S, waiting=progress)

    def _content(self) -> bytes:
        try:
            return self.file.read_bytes()
        except FileNotFoundError:
            return b"{}"
        except OSError as error:
            raise TargetError(f"{self.file} can't be read.", why=str(error), do="Make it readable for you.") from error

    def _decoded(self, content: bytes) -> LocalState:
        try:
            return msgspec.json.decode(content, type=LocalState)
        except msgspec.DecodeError as error:
            raise TargetError(
                "What the local target remembers can't be understood, so nothing was changed.",
                why=f"{self.file}: {error}. Another version of Pushline wrote it, or it was damaged.",
                do="Check out the commit that wrote it, or restore the file. What is live goes on; without the file, the next "
                "command that changes the target would end it.",
            ) from error


def carried(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """`new` with the fields of `old` that this version does not know, each where its release or process still is."""
    slots = [slot for slot in (old.get("live"), old.get("candidate")) if slot]
    releases = {release["id"]: release for release in [*old.get("history", ()), *(slot["release"] for slot in slots)]}
    processes = {(each["pid"], each["started"]): slot for slot in slots if (each := slot["process"])}

    def release_with(release: dict[str, Any]) -> dict[str, Any]:
        return with_unknown(release, releases.get(release["id"], {}))

    def slot_with(slot: dict[str, Any] | None) -> dict[str, Any] | None:
        if slot is None:
            return None
        slot, process = {**slot, "release": release_with(slot["release"])}, slot["process"]
        same = processes.get((process["pid"], process["started"])) if process else None
        return with_unknown({**slot, "process": with_unknown(process, same["process"])}, same) if same else slot

    history = [release_with(release) for release in new["history"]]
    return with_unknown({**new, "history": history, "live": slot_with(new["live"]), "candidate": slot_with(new["candidate"])}, old)
