"""Clients that never stop asking, and never ask twice: every request that gets no score is counted."""

import asyncio
import threading
import time
from collections import Counter
from itertools import cycle
from types import TracebackType
from urllib.parse import urlsplit


class Hammer:
    """`with Hammer(url, body, key) as hammer:` asks from another thread until the block ends.

    `kept` clients keep their connection as long as the server does, `fresh` ones make a new one for each request. Together
    they ask up to `rate` times a second.
    """

    def __init__(self, url: str, body: bytes | list[bytes], key: str, *, kept: int = 6, fresh: int = 2, rate: float = 400.0) -> None:
        parts = urlsplit(url)
        self.place = (parts.hostname or "", parts.port or 80)
        self.key = key
        self.bodies = cycle([body] if isinstance(body, bytes) else body)
        self.kept, self.fresh = kept, fresh
        self.pause = (kept + fresh) / rate
        self.seen: Counter[str] = Counter()  # by release, of those that were answered with a score
        self.failures: list[str] = []
        self.longest = 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.ask_all()))

    @property
    def requests(self) -> int:
        return self.seen.total() + len(self.failures)

    def __enter__(self) -> "Hammer":
        self.thread.start()
        self.wait_for(50)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ended.set()
        self.thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many more requests have ended."""
        goal, until = self.requests + more, time.monotonic() + 60
        while self.requests < goal:
            assert time.monotonic() < until, f"only {self.requests} requests: {self.failures[:3]}"
            time.sleep(0.01)

    async def ask_all(self) -> None:
        await asyncio.gather(*(self.ask(keep=number < self.kept) for number in range(self.kept + self.fresh)))

    async def ask(self, *, keep: bool) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self.ended.is_set():
            started = time.monotonic()
            try:
                connection = connection or await asyncio.open_connection(*self.place)
                async with asyncio.timeout(60):
                    release, close = await self.score(*connection, keep=keep)
                self.seen[release] += 1
            except (OSError, EOFError, ValueError, TimeoutError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                close = True
            if close and connection:
                connection[1].close()
                connection = None
            took = time.monotonic() - started
            self.longest = max(self.longest, took)
            await asyncio.sleep(max(0.0, self.pause - took))
        if connection:
            connection[1].close()

    async def score(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool) -> tuple[str, bool]:
        """The release that answered with a score, and whether the connection ends with it. Raises ValueError for another answer."""
        body = next(self.bodies)
        head = f"POST /score HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {self.key}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\n" + ("\r\n" if keep else "connection: close\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        content = await reader.readexactly(int(headers["content-length"]))
        if " 200 " not in lines[0] or b'"result"' not in content:
            raise ValueError(f"{lines[0]} {content[:200]!r}")
        return headers["x-release"], not keep or headers.get("connection") == "close"
