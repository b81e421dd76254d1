"""The sockets of a service: the one it listens on, and its control socket.

On that one JSON line comes in and one goes out, for `status`, `hand-over`, `retire` and `stop`; for `split` as many as are wanted,
and the split ends with the connection.
"""

import os
import socket
from pathlib import Path

from msgspec import Struct

from pushline.errors import TargetError

LINE_BYTES = 65_536
TAKE_OVER_S = 5.0


class Order(Struct, frozen=True, kw_only=True):
    """What share of the requests the workers let another service on this machine answer."""

    share: float = 0.0
    mirror: float = 0.0  # of the others, those of which that one gets a copy
    host: str = ""
    port: int = 0


class Question(Struct):
    """What is asked on the control socket."""

    do: str
    order: Order = Order()  # of a split


def bind(host: str, port: int) -> socket.socket:
    """The listening socket. Raises TargetError where the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise TargetError(
            f"{host}:{port} can't be listened on.",
            why=f"The system says: {error.strerror or error}.",
            do="Stop what listens there, or name another port with --port (0: any free one).",
        ) from error
    listener.setblocking(False)
    return listener


def address_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def taken_over(path: Path) -> socket.socket:
    """The listening socket of the service behind a control socket; from now on both answer on it.

    Raises TargetError where nobody hands one over.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TAKE_OVER_S)
        try:
            connection.connect(str(path))
            connection.sendall(b'{"do":"hand-over"}\n')
            said, descriptors, _, _ = socket.recv_fds(connection, LINE_BYTES, 1)
        except OSError as error:
            said, descriptors = (error.strerror or str(error)).encode(), []
    if not descriptors:
        raise TargetError(
            f"The service behind {path} can't be taken over.",
            why=f"It says: {said.decode('utf-8', 'replace').strip() or 'nothing'}.",
            do="Look at it with `pushline status`.",
        )
    listener = socket.socket(fileno=descriptors[0])
    listener.setblocking(False)
    return listener


def listen(path: Path) -> socket.socket:
    """A control socket at `path`, for its owner only. A file that an ended supervisor left is replaced."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server.bind(str(path))
    except OSError as error:
        raise TargetError(
            f"The control socket {path} can't be made.",
            why=f"The system says: {error.strerror or error}.",
            do="Name a short path in a folder you may write with --control.",
        ) from error
    finally:
        os.umask(before)
    return server
