"""Clients that are slow, silent or too many."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from service_made import Answer, Service, received_of, service_of

TIMEOUT_S = 1.0


@pytest.fixture(scope="module")
def strict(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with little patience and few places."""
    env = {"PUSHLINE_SERVING__TIMEOUT": str(TIMEOUT_S), "PUSHLINE_SERVING__MAX_IN_FLIGHT": "8"}
    with service_of(model, tmp_path_factory.mktemp("strict"), env=env) as service:
        yield service


def read_all(connection: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        return b"".join(iter(lambda: connection.recv(65536), b""))
    return b""


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"P", id="one byte"),
        pytest.param(b"POST /score HTTP/1.1\r\nhost: t\r\n", id="half a head"),
        pytest.param(b"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer KEY\r\ncontent-length: 100\r\n\r\n{", id="half a body"),
        pytest.param(
            b"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer KEY\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", id="half a chunk"
        ),
    ],
)
def test_a_request_that_does_not_arrive_in_time_gets_408(strict: Service, start: bytes) -> None:
    started = time.monotonic()
    answer = strict.raw(start.replace(b"KEY", strict.key.encode()))
    assert answer.status == 408
    assert answer.json["type"] == "urn:pushline:problem:timeout"
    assert time.monotonic() - started >= TIMEOUT_S


def test_a_body_that_trickles_is_cut_off(strict: Service) -> None:
    head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\ncontent-length: 1000\r\n\r\n"
    with strict.connect() as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.1)  # it never pauses for as long as a request may take
        answer = b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it was cut off before it looked
            for _ in range(300):
                connection.sendall(b" ")
                with contextlib.suppress(TimeoutError):
                    answer = connection.recv(65536)
                    break
            assert answer.startswith(b"HTTP/1.1 408")


def test_more_clients_than_places_are_told_to_come_back(strict: Service) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(strict.connect()) for _ in range(8)]
        head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
        for connection in held:
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")  # it has shown its key
        for _ in range(40):
            answer = strict.raw(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n")
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            assert answer.json["type"] == "urn:pushline:problem:overloaded"
    until_answered(strict)


def until_answered(service: Service) -> None:
    """Until a place is free again."""
    until = time.monotonic() + 60
    while service.raw(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").status != 200:
        assert time.monotonic() < until


def test_strangers_that_hold_every_place_keep_nobody_out(strict: Service, row: dict[str, Any]) -> None:
    body = json.dumps({"data": [row]}).encode()
    one = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(strict.connect())
        client.sendall(one)
        assert Answer(received_of(client)).status == 200
        for _ in range(40):
            stranger = stack.enter_context(strict.connect())
            stranger.sendall(b"POST /score HTTP/1.1\r\n")
            assert strict.score([row]).status == 200  # of a client that comes
        client.sendall(one)  # of one that was there before
        assert Answer(received_of(client)).status == 200


def test_clients_that_do_not_read_hold_no_more_than_their_places(strict: Service) -> None:
    worker = psutil.Process(strict.worker)
    descriptors, before = worker.num_fds(), worker.memory_info().rss
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(strict.connect())
            connection.settimeout(0.5)
            with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
                connection.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: t\r\n\r\n" * 20)
            assert worker.num_fds() <= descriptors + 8 + 1
        assert strict.raw(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").status == 200
        assert worker.memory_info().rss - before < 20_000_000


def test_endless_trailers_are_cut_off_without_a_key(strict: Service) -> None:
    start = b"POST /score HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    with_key = start.replace(b"host: t", b"host: t\r\nauthorization: Bearer " + strict.key.encode())
    for trailers in (b"x-trailer: 1\r\n" * 10_000, b"x: " + b"a" * 200_000):
        assert strict.raw(start + trailers).status in (401, 431)  # whichever is known first
        assert strict.raw(with_key + trailers).status == 431
    with strict.connect() as connection, pytest.raises((BrokenPipeError, ConnectionResetError)):
        connection.sendall(start + b"x-trailer: 1\r\n" * 5_000_000)


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 10, b"garbage " * 10_000, b"GET / HTTP/1.1\r\nhost: t\r\n\r\n" * 1_000], ids=["few", "many", "requests"]
)
def test_what_follows_a_refusal_is_dropped(strict: Service, garbage: bytes) -> None:
    """It is refused once; what comes behind it, in the same packet or later, is no reason for another answer or a fault."""
    with strict.connect() as connection:
        connection.sendall(b"NONSENSE\r\n\r\n" + garbage)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(garbage)
        assert read_all(connection).count(b"HTTP/1.1 ") <= 1
    assert not strict.faults()


def test_a_client_that_reads_none_of_its_answers_is_answered_no_more(strict: Service, row: dict[str, Any]) -> None:
    """What it has asked waits, and is answered once it reads."""
    body = json.dumps({"data": [row] * 500}).encode()
    head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    with strict.connect() as connection:
        for _ in range(40):
            connection.sendall(head.encode() + body)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 41


def test_idle_connections_give_way_to_new_ones(strict: Service) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            connection = stack.enter_context(strict.connect())
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n")
            assert Answer(received_of(connection)).status == 200


def test_a_client_that_never_reads_its_answers_is_dropped_and_costs_little(strict: Service) -> None:
    worker = psutil.Process(strict.worker)
    before = worker.memory_info().rss
    with strict.connect() as connection:
        connection.settimeout(0.5)
        ask = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: t\r\n\r\n" * 2000
        with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
            for _ in range(50):
                connection.sendall(ask)
        port, until = connection.getsockname()[1], time.monotonic() + 60
        while any(held.raddr and held.raddr.port == port for held in worker.net_connections(kind="tcp")):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert worker.memory_info().rss - before < 40_000_000
    assert strict.raw(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n").status == 200


def test_what_is_too_large_is_refused_before_it_is_sent(strict: Service) -> None:
    head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\ncontent-length: 2000000000\r\n\r\n"
    assert strict.raw(head.encode()).status == 413


def test_what_is_too_large_is_not_held_in_memory(strict: Service) -> None:
    """Without a length only counting helps: the service stops at its limit, not at the client's."""
    (worker,) = strict.ask(do="status")["workers"]
    before = psutil.Process(worker).memory_info().rss
    head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
    with strict.connect() as connection:
        connection.sendall(head.encode())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(64):
                connection.sendall(chunk)
        assert read_all(connection)[:12] in (b"HTTP/1.1 413", b"")  # what it sent meanwhile can make its system drop the answer
    assert psutil.Process(worker).memory_info().rss - before < 20_000_000


def test_pipelined_scores_are_all_answered(strict: Service, row: dict[str, Any]) -> None:
    body = json.dumps({"data": [row]}).encode()
    one = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    with strict.connect() as connection:
        connection.sendall(one * 100 + b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 101


def test_what_arrived_before_the_end_is_answered_in_its_order(strict: Service) -> None:
    """Whole requests, then half of one and the end: no refusal overtakes an answer."""
    with strict.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n" * 100 + b"GET /heal")
        connection.shutdown(socket.SHUT_WR)
        answers = read_all(connection).split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in answers[:100]] == [b"200"] * 100
    assert [one[:3] for one in answers[100:]] in ([], [b"400"])


def test_a_head_that_waits_for_its_turn_is_answered_once(strict: Service, row: dict[str, Any]) -> None:
    body = json.dumps({"data": [row]}).encode()
    head = f"POST /score HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {strict.key}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with strict.connect() as connection:
        for _ in range(5):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n" * 30 + head)
            connection.sendall(body)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n")
        assert read_all(connection).count(b"HTTP/1.1 200 OK") == 156
    assert not strict.faults()
