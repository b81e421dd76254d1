"""What the processes of a delivery show of themselves while it runs: their arguments, and their variables.

Whoever may list the processes of a machine reads the arguments of all; variables are for the owner, and for what the owner starts.
"""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

PROC = Path("/proc")
EVERY_S = 0.25


@dataclass(frozen=True)
class Shown:
    """A process as `/proc` had it."""

    arguments: str
    variables: str

    @property
    def name(self) -> str:
        """What it is: the module or the program, and its first word."""
        words = self.arguments.split()
        if "-m" in words[1:]:
            return " ".join(words[words.index("-m") + 1 :][:2])
        return " ".join(Path(word).name for word in words[:2])


@dataclass
class Watch:
    """Looks at all processes that carry one of `marks` among their variables, arguments or working folder. Linux only."""

    marks: tuple[str, ...]
    seen: set[Shown] = field(default_factory=set)

    def __enter__(self) -> "Watch":
        self.ended = threading.Event()
        self.known: dict[str, bytes] = {}
        self.thread = threading.Thread(target=self.keep_looking, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ended.set()
        self.thread.join()

    def keep_looking(self) -> None:
        while not self.ended.wait(EVERY_S):
            for place in PROC.iterdir():
                if place.name.isdigit():
                    self.look(place.name)

    def look(self, pid: str) -> None:
        place = PROC / pid
        try:
            arguments = (place / "cmdline").read_bytes()
            if self.known.get(pid) == arguments or pid == str(os.getpid()):
                return
            variables, folder = (place / "environ").read_bytes(), str((place / "cwd").readlink())
        except OSError:  # it has ended, or is someone else's
            return
        self.known[pid] = arguments
        shown = Shown(text_of(arguments), text_of(variables))
        if any(mark in text for mark in self.marks for text in (shown.variables, shown.arguments, folder)):
            self.seen.add(shown)


def text_of(content: bytes) -> str:
    return content.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def telling(shown: Iterable[Shown], secrets: dict[str, str], allowed: dict[str, tuple[str, ...]]) -> list[str]:
    """What shows which secret: an argument of anyone, or a variable of a process that `allowed` does not name for it.

    `secrets` holds the kind of each secret by its value, `allowed` the kinds by the beginning of a process's name.
    """
    found = set()
    for each in shown:
        may = {kind for name, kinds in allowed.items() if each.name.startswith(name) for kind in kinds}
        for secret, kind in secrets.items():
            if secret in each.arguments:
                found.add(f"{kind} among the arguments of {each.name}")
            if kind not in may and secret in each.variables:
                found.add(f"{kind} among the variables of {each.name}")
    return sorted(found)
