"""What the components run: one module a step, each a thin command line over a function of `training/`.

A step prints what is worth showing a person on standard output, a line at a time; everything else goes to standard error
and is found in the step's log.
"""

import argparse


def truth(text: str) -> bool:
    """A boolean as a pipeline passes it: `true`, `True`, `1` and their opposites."""
    said = text.strip().lower()
    if said in ("true", "1"):
        return True
    if said in ("false", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
