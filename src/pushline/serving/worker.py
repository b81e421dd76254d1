"""One worker process: it accepts on the socket it is given, answers, and drains when told to."""

import asyncio
import contextlib
import gc
import os
import signal

import msgspec

from pushline.errors import PushlineError
from pushline.serving.connection import Connection, tick
from pushline.serving.control import Order
from pushline.serving.running import IDLE_AFTER_SWITCH_S, Place, Running
from pushline.serving.service import Service

IDLE_AT_STOP_S = 0.5  # nobody else answers
LAST_ACCEPTS_S = 0.05  # for clients that are connected, but wait in the socket's queue


def work(running: Running, place: Place) -> int:
    """Serve until told to drain. Returns the exit code; says `ready` or `failed: …` on the lifeline."""
    import uvloop

    try:
        service = Service(running, place)
    except PushlineError as error:
        place.lifeline.sendall(f"failed: {' '.join(str(error).split())}\n".encode())
        return error.exit_code
    uvloop.run(serve(service, place))
    return 0


async def serve(service: Service, place: Place) -> None:
    loop = asyncio.get_running_loop()
    drained = asyncio.Event()
    idle_s = IDLE_AFTER_SWITCH_S

    def from_supervisor() -> None:
        nonlocal idle_s
        try:
            said = place.lifeline.recv(4096)
        except BlockingIOError:
            return
        if not said:
            os._exit(1)  # an orphan would keep the port from the next supervisor
        for line in said.splitlines():
            if line.startswith(b"{"):
                service.handoff.follow(msgspec.json.decode(line, type=Order))
            else:
                idle_s = IDLE_AT_STOP_S if line == b"stop" else IDLE_AFTER_SWITCH_S
                drained.set()

    def terminated() -> None:
        place.lifeline.send(b"draining\n")  # the supervisor starts another one at once
        drained.set()

    place.lifeline.setblocking(False)
    loop.set_exception_handler(lambda _, told: service.fault(told.get("exception") or RuntimeError(told["message"])))
    loop.add_reader(place.lifeline.fileno(), from_supervisor)
    loop.add_signal_handler(signal.SIGTERM, terminated)
    server = await loop.create_server(lambda: Connection(service), sock=place.listener, backlog=1024)
    service.log.start()
    # What is loaded now stays: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    ticking = loop.create_task(tick(service))
    place.lifeline.send(b"ready\n")
    await drained.wait()
    service.drain(idle_s)
    if idle_s == IDLE_AT_STOP_S:
        await asyncio.sleep(LAST_ACCEPTS_S)
    server.close()
    with contextlib.suppress(OSError):
        place.lifeline.send(b"closed\n")
    until = loop.time() + service.running.drain_s
    while len(service.places) and loop.time() < until:
        await asyncio.sleep(0.02)
    ticking.cancel()
    service.tick()
    service.metrics.leave()
    service.log.close()
