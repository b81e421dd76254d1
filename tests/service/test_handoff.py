"""Requests that another service answers: in their order, to clients of every kind, and never a second time."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service_made import Service, received_of, service_of

pytestmark = pytest.mark.slow  # two services


@pytest.fixture(scope="module")
def other(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    said, env = ("--release", "r2", "--model-version", "8"), {"PUSHLINE_SERVING__EXPLAIN": "true"}
    with service_of(model, tmp_path_factory.mktemp("other"), *said, env=env) as service:
        yield service


@pytest.fixture(scope="module")
def service(model: Path, other: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With the keys of the other one, as a live release and its candidate have."""
    folder = tmp_path_factory.mktemp("live")
    with service_of(model, folder, "--release", "r1", "--model-version", "7") as service:
        (folder / "keys.json").write_bytes((other.folder / "keys.json").read_bytes())
        service.keys = other.keys
        yield service


@contextlib.contextmanager
def split(service: Service, other: Service, **order: float) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(service.folder / "control"))
        control.sendall(json.dumps({"do": "split", "order": {**order, "host": "127.0.0.1", "port": other.port}}).encode() + b"\n")
        assert json.loads(control.recv(4096)) == {"ok": True}
        yield


def until_other_answers(service: Service, row: dict[str, Any], release: str = "r2") -> None:
    for _ in range(2000):
        if service.score([row]).headers["x-release"] == release:
            return
    raise AssertionError(f"{release} never answered")


def head(service: Service, body: bytes, *lines: str) -> bytes:
    said = ["POST /score HTTP/1.1", "host: test", f"authorization: Bearer {service.key}", f"content-length: {len(body)}", *lines]
    return "\r\n".join(said).encode() + b"\r\n\r\n"


def test_requests_behind_one_another_are_answered_in_their_order(service: Service, other: Service, row: dict[str, Any]) -> None:
    body = json.dumps({"data": [row]}).encode()
    asked = [head(service, body, f"x-request-id: n{number}") + body for number in range(50)]
    asked[20] = b"GET /healthz HTTP/1.1\r\nhost: test\r\nx-request-id: n20\r\n\r\n"
    asked[30] = head(service, b"{}", "x-request-id: n30") + b"{}"
    with split(service, other, share=1.0):
        until_other_answers(service, row)
        with service.connect() as connection:
            connection.sendall(b"".join(asked) + head(service, body, "connection: close", "x-request-id: last") + body)
            received = b"".join(iter(lambda: connection.recv(65536), b""))
    ids = [line.split(b": ")[1].decode() for line in received.split(b"\r\n") if line.startswith(b"x-request-id: ")]
    assert ids == [*(f"n{number}" for number in range(50)), "last"]
    assert received.count(b"x-release: r2") == 49
    assert received.count(b"HTTP/1.1 422") == 1


def test_reasons_come_from_whoever_answers(service: Service, other: Service, row: dict[str, Any]) -> None:
    body = json.dumps({"data": [row]}).encode()
    assert service.request(body, path="/score?explain=2").status == 409
    with split(service, other, share=1.0):
        until_other_answers(service, row)
        assert len(service.request(body, path="/score?explain=2").json["explanations"][0]["reasons"]) == 2


def test_a_client_that_ends_its_side_has_its_answer_first(service: Service, other: Service, row: dict[str, Any]) -> None:
    body = json.dumps({"data": [row]}).encode()
    with split(service, other, share=1.0):
        until_other_answers(service, row)
        answer = service.raw(head(service, body) + body, shut=True)
    assert (answer.status, answer.headers["x-release"]) == (200, "r2")


def test_the_split_ends_with_whoever_gave_it(service: Service, other: Service, row: dict[str, Any]) -> None:
    with split(service, other, share=1.0):
        until_other_answers(service, row)
    until_other_answers(service, row, "r1")
    assert {service.score([row]).headers["x-release"] for _ in range(20)} == {"r1"}


def test_copies_are_compared_and_their_answers_dropped(service: Service, other: Service, row: dict[str, Any]) -> None:
    before = samples(other)["pushline_rows_total"]
    with split(service, other, mirror=1.0), service.connect() as connection:
        body = json.dumps({"data": [row]}).encode()
        for _ in range(2000):
            connection.sendall(head(service, body) + body)
            assert b"x-release: r1" in received_of(connection)
            if samples(service)["pushline_compared_total"] >= 5:
                break
    assert samples(service)["pushline_compared_total"] >= 5
    assert samples(service)["pushline_flipped_total"] == 0
    assert samples(other)["pushline_rows_total"] > before


def samples(service: Service) -> dict[str, float]:
    text = service.request(b"", method="GET", path="/metrics").body.decode()
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if line[0] != "#" and "{" not in line}
