"""Several times as many attackers as the service has places, beside a client that must not notice.

ATTACK_SECONDS=20 makes each attack as long, and judges the client's p99 too: for a machine with nothing else to do.
ATTACK_FIGURES names a file to which a line of figures is appended for each.
"""

import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from service_made import Service, received_of, service_of

from .attack import ATTACKS

pytestmark = pytest.mark.slow

LONG = "ATTACK_SECONDS" in os.environ
SECONDS = float(os.environ["ATTACK_SECONDS"]) if LONG else 1.0
PLACES = 48
ATTACKERS = 4 * PLACES
RATE = 100  # requests a second of the client
FLOOR_MS = 150.0  # of the p99 that is judged: attackers, client and service share the cores


@pytest.fixture(scope="module")
def attacked(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    env = {"PUSHLINE_SERVING__TIMEOUT": "3", "PUSHLINE_SERVING__MAX_IN_FLIGHT": str(PLACES)}
    with service_of(model, tmp_path_factory.mktemp("attacked"), env=env) as service:
        yield service


class Client:
    """Scores a row at a steady rate over one connection, which it opens again where it was closed: that is a failure."""

    def __init__(self, service: Service, row: dict[str, Any]) -> None:
        body = json.dumps({"data": [row]}).encode()
        head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {service.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        self.sent = head.encode() + body
        self.service = service
        self.connection: socket.socket | None = None

    def ask(self) -> bool:
        try:
            self.connection = self.connection or self.service.connect()
            self.connection.sendall(self.sent)
            if received_of(self.connection).startswith(b"HTTP/1.1 200"):
                return True
        except OSError:
            pass
        self.close()
        return False

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def run(self, seconds: float) -> tuple[float, float]:
        """The share of its requests that were answered, and their p99 in milliseconds, from when each was due."""
        start, times, failed = time.monotonic(), [], 0
        count = int(seconds * RATE)
        for number in range(count):
            due = start + number / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            if self.ask():
                times.append((time.monotonic() - due) * 1000)
            else:
                failed += 1
        return 1 - failed / count, sorted(times)[math.ceil(0.99 * len(times)) - 1] if times else math.inf


@contextlib.contextmanager
def attack(name: str, port: int, seconds: float) -> Iterator[None]:
    script = Path(__file__).with_name("attack.py")
    arguments = [sys.executable, str(script), name, str(port), str(seconds), str(ATTACKERS)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield
        finally:
            running.kill()


def settled(worker: psutil.Process, descriptors: int) -> tuple[int, float]:
    """The descriptors of the worker once they are as few as before, at most the linger time later, and its megabytes."""
    until = time.monotonic() + 8
    while worker.num_fds() > descriptors and time.monotonic() < until:
        time.sleep(0.1)
    return worker.num_fds(), worker.memory_info().rss / 1e6


@pytest.mark.parametrize("name", ATTACKS)
def test_a_client_does_not_notice_an_attack(attacked: Service, row: dict[str, Any], name: str) -> None:
    worker = psutil.Process(attacked.worker)
    client = Client(attacked, row)
    _, alone_ms = client.run(SECONDS if LONG else 0.2)
    descriptors, before_mb = worker.num_fds(), worker.memory_info().rss / 1e6
    with attack(name, attacked.port, SECONDS + 3):
        until = time.monotonic() + 10
        while worker.num_fds() < descriptors + PLACES // 4 and time.monotonic() < until:
            time.sleep(0.02)  # until the attackers are there
        answered, p99_ms = client.run(SECONDS)
        # More may be accepted for one turn of the loop; what is held is the fewest of several looks.
        looks = [(client.ask(), worker.num_fds()) for _ in range(5)]
        most = min(held for _, held in looks)
    after, after_mb = settled(worker, descriptors)
    if "ATTACK_FIGURES" in os.environ:
        with Path(os.environ["ATTACK_FIGURES"]).open("a") as figures:
            line = f"{answered:.4f} answered, p99 {alone_ms:.1f} -> {p99_ms:.1f} ms"
            figures.write(f"{name}: {line}, {descriptors} -> {most} -> {after} fds, {before_mb:.0f} -> {after_mb:.0f} MB\n")
    client.close()
    assert answered >= 0.99
    assert not LONG or p99_ms <= max(2 * alone_ms, FLOOR_MS)
    assert most < descriptors + ATTACKERS  # not all of them had a place
    assert after <= descriptors
    assert after_mb < before_mb + 40
    assert not attacked.faults()
