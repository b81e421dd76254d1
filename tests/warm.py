"""A process that has imported once what the commands import, and forks for each command: `python warm.py SOCKET`.

All processes of one run of the tests ask the same one, through its socket (see command.py and ask_warm.py): a request is JSON with the
three standard streams beside it. Each command still is a process of its own with its own folder, variables, streams and exit; what it
saves is the seconds that every one would spend on importing Great Expectations, MLflow and Azure's packages. A command ends with the one
who asked for it, and this process with the last who knows it.
"""

import atexit
import fcntl
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

# What takes long among what commands import. None of it starts a thread, which no fork would carry over.
HEAVY = (
    "alembic.command",
    "duckdb",
    "duckdb_engine",
    "great_expectations",
    "great_expectations.expectations",
    "matplotlib.figure",
    "mlflow",
    "mlflow.onnx",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "onnx",
    "onnxruntime",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pushline.cli",
    "pushline.data.checks.check_data",
    "pushline.delivery",
)
FOR_STEPS = ("flaml", "lightgbm", "sklearn.ensemble", "pushline.training.conclude", "pushline.training.find")  # once there is a step
FOR_AZURE = ("azure.ai.ml", "azure.ai.ml.entities", "azure.identity", "azureml.mlflow")  # once a command is for Azure


def load(names: tuple[str, ...]) -> None:
    """Import them, quietly; what is not installed stays away."""
    from pushline.registry.mlflow_store import quiet_mlflow

    quiet_mlflow()
    with warnings.catch_warnings(action="ignore"):
        for name in names:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if (error.name or "").startswith("pushline"):
                    raise
    assert threading.active_count() == 1, threading.enumerate()
    gc.collect()
    gc.freeze()  # the children share what is here


def look_at_packages() -> None:
    """MLflow asks every installed package for its modules before it writes a first model, and remembers it: 2 seconds."""
    from mlflow.utils.requirements_utils import warn_dependency_requirement_mismatches

    warn_dependency_requirement_mismatches(["mlflow"])


def become(request: dict[str, Any], streams: list[int]) -> int:
    """Be the command that is asked for; returns its exit code."""
    os.setsid()
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["cwd"])
    module, arguments = request["module"], request["arguments"]
    if request["code"] and not same_code(Path(request["code"])):
        os.execve(request["otherwise"], [request["otherwise"], "-m", module, *arguments], request["env"])
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # the stream of an interpreter
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTHONUNBUFFERED" in os.environ:
        sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    sys.path.insert(0, request["cwd"])
    sys.argv = [module, *arguments]
    sys.executable = request["python"]  # its steps come here too
    code: Any = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001  # as at the top of an interpreter
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    threading._shutdown()  # type: ignore[attr-defined]  # what an interpreter does at its end, in its order
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


def same_code(package: Path) -> bool:
    """Whether the package there is what is loaded here, to the byte: what differs is run from the start of an interpreter."""
    return sources(package) == own_sources()


@cache
def own_sources() -> dict[str, bytes]:
    import pushline

    return sources(Path(pushline.__path__[0]))


def sources(package: Path) -> dict[str, bytes]:
    return {file.relative_to(package).as_posix(): file.read_bytes() for file in package.rglob("*.py")}


@dataclass
class Asker:
    """Who is at the other end of a connection, and the command that runs for it."""

    connection: socket.socket
    heard: bytes = b""
    streams: list[int] = field(default_factory=list)
    child: int = 0
    end: int = -1  # tells when the child has ended


class Server:
    """Waits for requests, for the ends of commands, and for the ends of those who asked."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(place))
        self.listener.listen(64)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.askers: list[Asker] = []

    def run(self) -> None:
        """Until nobody is left."""
        while True:
            for key, _ in self.selector.select(timeout=None if self.askers else 0.1):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fd == key.data.end:
                    self.ended(key.data)
                elif key.data in self.askers:
                    self.hear(key.data)
            if not self.askers and self.nobody_comes():
                return

    def nobody_comes(self) -> bool:
        """Whether nobody is about to connect; if so the folder goes, so that whoever comes later starts a process of their own."""
        place = self.place.parent
        with (place / "lock").open("w") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self.selector.select(0):
                shutil.rmtree(place)
                return True
        return False

    def accept(self) -> None:
        connection, _ = self.listener.accept()
        asker = Asker(connection)
        self.askers.append(asker)
        self.selector.register(connection, selectors.EVENT_READ, asker)

    def hear(self, asker: Asker) -> None:
        """A line is a request, or the number of a signal for the command that runs."""
        try:
            said, streams, _, _ = socket.recv_fds(asker.connection, 1 << 20, 3)
        except ConnectionError:
            said, streams = b"", []
        asker.streams += streams
        asker.heard += said
        if not said:
            self.forget(asker)
        while b"\n" in asker.heard:
            line, asker.heard = asker.heard.split(b"\n", 1)
            if asker.child:
                with suppress(ProcessLookupError):
                    os.kill(asker.child, int(line))
            else:
                self.begin(asker, json.loads(line))

    def begin(self, asker: Asker, request: dict[str, Any]) -> None:
        if request["env"].get("PUSHLINE_TARGET", "local") != "local" and FOR_AZURE[0] not in sys.modules:
            load(FOR_AZURE)
        if ".steps." in request["module"] and FOR_STEPS[-1] not in sys.modules:
            load(FOR_STEPS)
        child = os.fork()
        if child == 0:
            self.selector.close()
            self.listener.close()
            for other in self.askers:
                other.connection.close()
            os._exit(become(request, asker.streams))
        for stream in asker.streams:
            os.close(stream)
        asker.streams, asker.child, asker.end = [], child, os.pidfd_open(child)
        self.selector.register(asker.end, selectors.EVENT_READ, asker)

    def ended(self, asker: Asker) -> None:
        code = self.wait(asker)
        with suppress(ConnectionError):
            asker.connection.sendall(b"%d\n" % code)
        self.forget(asker)

    def wait(self, asker: Asker) -> int:
        self.selector.unregister(asker.end)
        os.close(asker.end)
        child, asker.child = asker.child, 0
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def forget(self, asker: Asker) -> None:
        """Whoever asked is gone; so are the command and what has not detached itself from it."""
        if asker.child:
            with suppress(ProcessLookupError):
                os.killpg(asker.child, signal.SIGKILL)
            self.wait(asker)
        self.selector.unregister(asker.connection)
        asker.connection.close()
        self.askers.remove(asker)


def main() -> None:
    place = Path(sys.argv[1])
    load(HEAVY)
    look_at_packages()
    own_sources()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Server(place).run()


if __name__ == "__main__":
    main()
