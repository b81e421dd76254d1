"""What is going on, said while it goes on: one line of text at a time, to whoever called."""

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(line: str) -> None:
    """A Progress for callers whom nobody reads."""
