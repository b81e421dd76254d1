"""A release to aim at, and servers that answer in their own way."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models_made import make_model, release_of
from pushline.project import Project
from pushline.results import Release

SCORE = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 37\r\n\r\n{"result":["no"],"probability":[0.1]}'
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}"
OTHER = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\nit works!"

# Gets the bytes of a request, says after how many seconds it answers what; nothing for never.
Behaviour = Callable[[bytes], tuple[float, bytes | None]]
Serve = Callable[[Behaviour], str]


@pytest.fixture(scope="session")
def release(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    return release_of(make_model(Project(repo), tmp_path_factory.mktemp("models") / "model", seed=1), 1)


class Answering(asyncio.Protocol):
    """Answers each request of a connection as the behaviour says."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        if not end or len(body) < length:
            return
        request, self.received = self.received, b""
        after, answer = self.behaviour(request)
        if answer is not None:
            asyncio.get_running_loop().call_later(after, self.transport.write, answer)  # type: ignore[attr-defined]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(behaviour)`: the address of a server in this process that behaves so."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers: list[asyncio.Server] = []

    def start(behaviour: Behaviour) -> str:
        made = asyncio.run_coroutine_threadsafe(loop.create_server(lambda: Answering(behaviour), "127.0.0.1", 0), loop).result()
        servers.append(made)
        return f"http://127.0.0.1:{made.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        loop.call_soon_threadsafe(server.close)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
