"""What the components run: one module a step, each a thin command line over a function of `training/`.

A step prints what is worth showing a person on standard output, a line at a time; everything else goes to standard error
and is found in the step's log.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from pushline.errors import PushlineError


def truth(text: str) -> bool:
    """A boolean as a pipeline passes it: `true`, `True`, `1` and their opposites."""
    said = text.strip().lower()
    if said in ("true", "1"):
        return True
    if said in ("false", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def say(line: str) -> None:
    """Show a person one line of progress."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_step(main: Callable[[], None]) -> NoReturn:
    """Run a step's main and exit; an expected failure is told in its three lines, without a traceback."""
    try:
        main()
    except PushlineError as error:
        if os.environ.get("PUSHLINE_DEBUG"):
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    sys.exit(0)
