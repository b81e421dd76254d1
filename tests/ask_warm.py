"""Asks the warm process for a command, and is that command to whoever started it.

    python -I -S ask_warm.py SOCKET PYTHON OTHERWISE CODE MODULE …

PYTHON is what the command takes for its interpreter; where the package in the folder CODE is not the one that is warm, OTHERWISE runs it
from the start. Standard library only, as it stands in for `pushline` where a shell or a workflow looks for it (see command.py). Streams,
folder and variables are handed over, signals passed on; if this process ends, in whatever way, so does the command.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path


def send(connection: socket.socket, request: dict[str, object], streams: list[int]) -> None:
    """A request, with standard input, output and error of the command beside it."""
    text = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(connection, [text], streams)
    connection.sendall(text[sent:])


def main() -> int:
    place, python, otherwise, code, module, *arguments = sys.argv[1:]
    request = {
        "cwd": str(Path.cwd()),
        "env": dict(os.environ),
        "python": python,
        "otherwise": otherwise,
        "code": code,
        "module": module,
        "arguments": arguments,
    }
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(place)
    send(connection, request, [0, 1, 2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: connection.sendall(b"%d\n" % number))
    answer = connection.recv(100)
    if not answer:
        sys.stderr.write("The process of the tests that runs commands is gone.\n")
        return 70
    ended = int(answer)
    if ended < 0:
        if -ended != signal.SIGKILL:
            signal.signal(-ended, signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    return ended


if __name__ == "__main__":
    sys.exit(main())
