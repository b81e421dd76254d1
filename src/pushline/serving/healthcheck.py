"""`python -m pushline.serving.healthcheck`: exits 0 where the service in this container is ready.

It follows the port of the service: the `--port` that process 1 was started with, else the setting.
"""

import os
import sys
from pathlib import Path

from pushline.serving.client import Client

DEFAULT_PORT = 8123
TIMEOUT_S = 2.0


def port_of(arguments: list[str]) -> int:
    """The port that these arguments of `serve`, or the environment, name."""
    for position, argument in enumerate(arguments):
        if argument.startswith("--port="):
            return int(argument.removeprefix("--port="))
        if argument == "--port" and position + 1 < len(arguments):
            return int(arguments[position + 1])
    return int(os.environ.get("PUSHLINE_SERVING__PORT") or DEFAULT_PORT)


def main() -> int:
    try:
        arguments = Path("/proc/1/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        arguments = []
    return 0 if Client(f"http://127.0.0.1:{port_of(arguments)}", timeout_s=TIMEOUT_S).get("/readyz").status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
