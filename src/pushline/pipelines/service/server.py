"""The service of published pipelines in the foreground, and where it can be found."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from pushline.files import read_json, write_json
from pushline.locks import locked
from pushline.pipelines.service.routes import PipelinesApp
from pushline.progress import Progress
from pushline.project import Project
from pushline.serving.connection import Connection, tick
from pushline.serving.control import address_of, bind
from pushline.serving.keys import KeyRing, read_or_make
from pushline.settings import PushlineSettings

KEYS = "pipelines-keys.json"  # its own: who may score may not start trainings
RECORD = "pipelines/server.json"


class ServerRecord(Struct, frozen=True, kw_only=True):
    """Where the service answers."""

    url: str
    pid: int
    started_at: datetime


def serve(project: Project, settings: PushlineSettings, *, progress: Progress) -> None:
    """Answer until SIGTERM or SIGINT. Runs go on without it.

    Raises SettingsError for keys that can't be used, Busy where another one serves this project, TargetError where the address is taken.
    """
    state, found = project.state.resolve(), record_of(project)
    there = f"Published pipelines are served on {found.url} already: use that, or end it first." if found else ""
    with locked(state / "pipelines" / ".server", also=there):
        control = PipelinesApp(project, settings, KeyRing(keys_of(project)), progress)
        listener = bind(settings.pipelines.host, settings.pipelines.port)
        host, port = listener.getsockname()[:2]
        url = address_of(host, port)

        def announce() -> None:
            write_json(state / RECORD, ServerRecord(url=url, pid=os.getpid(), started_at=datetime.now(UTC)))
            progress(f"Serving published pipelines on {url} (docs: {url}/docs). Keys: {keys_of(project)}.")
            for run in (run for run in control.runs.all() if not run.ended):
                progress(f"{run.id}: {run.pipeline} version {run.version} is {run.state}")

        try:
            asyncio.run(answer(control, listener, announce))
        finally:
            (state / RECORD).unlink(missing_ok=True)


async def answer(control: PipelinesApp, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Answer until told to end; `announce` is called once that can be told, so that nobody tells it before."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.set_exception_handler(lambda _, told: control.fault(told.get("exception") or RuntimeError(told["message"])))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(lambda: Connection(control), sock=listener, backlog=128)
    announce()
    ticking = loop.create_task(tick(control))
    await stopped.wait()
    ticking.cancel()
    server.close()
    control.draining = True
    for connection in control.places.all():
        connection.close()
    await asyncio.sleep(0)


def record_of(project: Project) -> ServerRecord | None:
    """Where the service answers; None where none has said so, or what is written can't be read."""
    return read_json(project.state.resolve() / RECORD, ServerRecord)


def keys_of(project: Project) -> Path:
    """The file of the keys, made where there is none. Raises SettingsError where it can't be used."""
    file = project.state.resolve() / KEYS
    read_or_make(file)
    return file
