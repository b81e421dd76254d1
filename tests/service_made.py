"""A real service for tests: its own process on a free loopback port, asked over real sockets."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pushline.serving.keys import EndpointKeys, make_keys

READY_S = 60.0
TOLD = ("Serving release ", "Ready after ", "Keeping a sample ", "{")  # without a log file, its lines are there too
UNREACHABLE = "Retrying due to server request error"  # what the exporter says of an endpoint of telemetry that is not there
FAULTS = ("crash", "stderr", "log")


class Answer:
    """What came back on a raw socket."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(line.split()[1]) if line.startswith("HTTP/") else 0
        self.headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<{self.status} {self.raw[:300]!r}>"


class Service:
    """A running supervisor with its workers."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, keys: EndpointKeys) -> None:
        self.process = process
        self.folder = folder
        self.keys = keys
        self.port = 0
        self.expected: tuple[str, ...] = (UNREACHABLE,)  # in its log, beside what is a fault

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return self.keys.primary

    def ask(self, **question: Any) -> dict[str, Any]:
        """A question on the control socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(60)
            control.connect(str(self.folder / "control"))
            control.sendall(json.dumps(question).encode() + b"\n")
            received = b"".join(iter(lambda: control.recv(65536), b""))
        return json.loads(received)

    def connect(self, timeout_s: float = 60.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def raw(self, sent: bytes, *, shut: bool = False, timeout_s: float = 60.0) -> Answer:
        """Send bytes, and read until the service closes or one whole answer is there."""
        with self.connect(timeout_s) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(sent)
                if shut:
                    connection.shutdown(socket.SHUT_WR)
            return Answer(received_of(connection))

    def request(self, body: bytes, *lines: str, method: str = "POST", path: str = "/score", key: str | None = "") -> Answer:
        """One well-formed request; `key=None` sends none."""
        key = self.key if key == "" else key
        head = [f"{method} {path} HTTP/1.1", "host: test", f"content-length: {len(body)}", *lines]
        if not any(line.lower().startswith("content-type") for line in lines):
            head.append("content-type: application/json")
        if key is not None:
            head.append(f"authorization: Bearer {key}")
        return self.raw("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def score(self, rows: Any) -> Answer:
        return self.request(json.dumps({"data": rows}).encode())

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in whole_lines(self.folder / "log.jsonl")]

    @property
    def worker(self) -> int:
        (pid,) = self.ask(do="status")["workers"]
        return int(pid)

    def faults(self) -> list[str]:
        """What it wrote to standard error beside what a user is told, and the faults of its own in its log."""
        said = [line for line in (self.folder / "said").read_text().splitlines() if not line.startswith(TOLD)]
        if self.process.returncode:  # it was to fail, or was killed
            said = [line for line in said if "Traceback" in line]
        log = self.folder / "log.jsonl"
        logged = [line for line in (whole_lines(log) if log.exists() else []) if json.loads(line)["event"] in FAULTS]
        return said + [line for line in logged if not any(text in line for text in self.expected)]


def whole_lines(file: Path) -> list[str]:
    """What is written already; the last line may be on its way."""
    return file.read_text().rpartition("\n")[0].splitlines()


def received_of(connection: socket.socket) -> bytes:
    """The bytes up to the end of the connection, or of one answer with a content-length."""
    received = b""
    while True:
        head, found, rest = received.partition(b"\r\n\r\n")
        if found:
            length = next((line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
            if head.startswith(b"HTTP/1.1 100"):
                received = rest
                continue
            if length is not None and len(rest) >= int(length):
                return received
        try:
            part = connection.recv(1 << 20)
        except ConnectionResetError:
            return received
        if not part:
            return received
        received += part


@contextlib.contextmanager
def service_of(
    model: Path,
    folder: Path,
    *options: str,
    env: dict[str, str] | None = None,
    python: str = sys.executable,
    wait: bool = True,
    log: bool = True,
) -> Iterator[Service]:
    """Run `pushline serve` on a model folder until the block ends; then it has said nothing that it should not have."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = make_keys(folder / "keys.json")
    arguments = ["serve", "--model", str(model), "--port", "0", "--keys", str(folder / "keys.json"), "--control", str(folder / "control")]
    arguments += [*(["--log", str(folder / "log.jsonl")] if log else []), *options]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [python, "-m", "pushline", *arguments],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    service = Service(process, folder, keys)
    try:
        if wait:
            wait_ready(service)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert not service.faults()


def wait_ready(service: Service) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        assert service.process.poll() is None, (service.folder / "said").read_text()
        with contextlib.suppress(OSError, json.JSONDecodeError):
            status = service.ask(do="status")
            service.port = status["port"]
            if status["ready"]:
                return
        time.sleep(0.02)
    raise AssertionError("the service was not ready: " + (service.folder / "said").read_text())


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
    return content
