"""Locust, tied to whoever started it: `python -m pushline.release.generator` takes Locust's own arguments.

A load that outlives its load test would hit the next candidate, so the kernel ends this process with its parent.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, which started it, ends. Only Linux can; elsewhere the time limit ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("The load test has ended.")


def main() -> None:
    end_with(int(os.environ["LOAD_PARENT"]))
    from locust.main import main as locust

    locust()


if __name__ == "__main__":
    main()
