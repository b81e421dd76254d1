"""A sign of life: what is silent for two seconds (ten in a log) says that it works, and every ten seconds how long it has."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

FIRST_S, EVERY_S = 2.0, 10.0
# They are in the foreground until told to stop, or show what goes on in their own way.
WITHOUT = frozenset({"serve", "pipelines", "openapi", "logs", "run"})


class Heartbeat:
    """Speaks on standard error whenever nobody else has for a while; `heard` is called by whoever does."""

    def __init__(self, say: Callable[[str], None], name: str, expected_s: float | None) -> None:
        self.say, self.name, self.expected_s = say, name, expected_s
        self.started = self.last = time.monotonic()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.beat, name="heartbeat", daemon=True)

    def heard(self) -> None:
        self.last = time.monotonic()

    def beat(self) -> None:
        wait = FIRST_S if sys.stderr.isatty() else EVERY_S  # a log is not read while it is written
        while not self.ended.wait(max(self.last + wait - time.monotonic(), 0.05)):
            if time.monotonic() - self.last >= wait:
                self.say(self.words(time.monotonic() - self.started))
                self.heard()
                wait = EVERY_S

    def words(self, passed_s: float) -> str:
        left = (self.expected_s or 0) - passed_s
        if passed_s < EVERY_S:
            return f"{self.name}: working" + (f", about {self.expected_s:.0f} s in all" if self.expected_s else "")
        return f"{self.name}: {passed_s:.0f} s so far" + (f", about {left:.0f} s left" if left > 0 else "")

    def stop(self) -> None:
        self.ended.set()
        if self.thread.is_alive() and threading.current_thread() is not self.thread:
            self.thread.join()


CURRENT: list[Heartbeat] = []


def heard() -> None:
    """Somebody has just spoken."""
    for one in CURRENT:
        one.heard()


def expect(left_s: float) -> None:
    """A command knows how much longer it takes."""
    for one in CURRENT:
        one.expected_s = time.monotonic() - one.started + left_s


def hush() -> None:
    """A question is asked: nothing is said while a person thinks."""
    for one in CURRENT:
        one.stop()


@contextlib.contextmanager
def beating(name: str, expected_s: float | None = None, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Let `name` show that it works until it is done."""
    heart = Heartbeat(say or (lambda line: click.echo(line, err=True)), name, expected_s)
    CURRENT.append(heart)
    heart.thread.start()
    try:
        yield
    finally:
        heart.stop()
        CURRENT.remove(heart)


@contextlib.contextmanager
def timed(name: str, root: Path) -> Iterator[None]:
    """Let a command of the project at `root` show that it works, with how long it took here the last time."""
    took, began, expected = root / ".pushline" / "took" / name, time.monotonic(), 0.0
    with contextlib.suppress(OSError, ValueError):
        expected = float(took.read_text(encoding="utf-8"))
    with beating(name, expected or last_time(root / "build", name)):
        yield
    if time.monotonic() - began > FIRST_S and took.parent.parent.is_dir():
        with contextlib.suppress(OSError):
            took.parent.mkdir(exist_ok=True)
            took.write_text(f"{time.monotonic() - began:.1f}", encoding="utf-8")


def last_time(build: Path, stage: str) -> float | None:
    """How long a stage took when it last ran here; None where it left nothing."""
    try:
        return float(json.loads((build / stage / "result.json").read_bytes())["elapsed_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
