"""What honest clients send, and what they get."""

import json
import socket
from typing import Any

import pytest

from pushline.serving.model_folder import GoldenRow
from service_made import Answer, Service, get, received_of


@pytest.mark.example
def test_the_golden_rows_score_as_in_training(service: Service, golden: tuple[GoldenRow, ...]) -> None:
    answer = service.score([row.row for row in golden])
    assert answer.status == 200
    assert answer.json["result"] == [row.result for row in golden]
    assert answer.json["probability"] == pytest.approx([row.probabilities[-1] for row in golden], abs=1e-5)


@pytest.mark.example
def test_a_row_scores_alone_as_it_does_among_others(service: Service, golden: tuple[GoldenRow, ...]) -> None:
    together = service.score([row.row for row in golden]).json["probability"]
    alone = [service.score([row.row]).json["probability"][0] for row in golden]
    assert alone == pytest.approx(together, abs=1e-7)


@pytest.mark.example
def test_the_example_of_two_customers_scores_unchanged(service: Service, two_customers: bytes) -> None:
    answer = service.request(two_customers)
    assert answer.status == 200
    assert set(answer.json) == {"result", "probability", "threshold", "model_version"}
    assert len(answer.json["result"]) == len(answer.json["probability"]) == 2


def test_every_answer_says_release_version_and_request(service: Service, row: dict[str, Any]) -> None:
    for answer in (service.score([row]), service.score([{}]), service.request(b"", path="/nowhere"), service.request(b"", key=None)):
        assert answer.headers["x-release"] == "r1"
        assert answer.headers["x-model-version"] == "7"
        assert answer.headers["x-request-id"]


def test_request_ids_differ_and_a_given_one_is_kept(service: Service, two_customers: bytes) -> None:
    ids = {service.request(two_customers).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
    assert service.request(two_customers, "x-request-id: order-4711").headers["x-request-id"] == "order-4711"


def test_a_request_id_that_could_break_a_log_is_replaced(service: Service, two_customers: bytes) -> None:
    assert service.request(two_customers, 'x-request-id: "><script>').headers["x-request-id"] != '"><script>'
    assert len(service.request(two_customers, "x-request-id: " + "a" * 500).headers["x-request-id"]) < 100


def test_both_keys_are_accepted_and_nothing_else(service: Service, two_customers: bytes) -> None:
    assert service.request(two_customers, key=service.keys.primary).status == 200
    assert service.request(two_customers, key=service.keys.secondary).status == 200
    assert service.request(two_customers, key=service.keys.primary[:-1]).status == 401
    missing = service.request(two_customers, key=None)
    assert missing.status == 401
    assert missing.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.example
def test_a_broken_row_is_named_with_its_column(service: Service, row: dict[str, Any]) -> None:
    answer = service.score([row, {**row, "age": 7, "month": "month 13"}, {key: row[key] for key in row if key != "job"}])
    assert answer.status == 422
    assert {(error["row"], error["column"]) for error in answer.json["errors"]} == {(1, "age"), (1, "month"), (2, "job")}
    assert "at least 17" in next(error["message"] for error in answer.json["errors"] if error["column"] == "age")


def test_the_errors_of_one_request_are_limited(service: Service, row: dict[str, Any]) -> None:
    answer = service.score([{**row, "age": -1}] * 500)
    assert answer.status == 422
    assert len(answer.json["errors"]) == 50


@pytest.mark.example
def test_columns_the_model_does_not_use_are_ignored(service: Service, row: dict[str, Any]) -> None:
    bare = {name: value for name, value in row.items() if name != "duration"}
    scores = [
        service.score([{**bare, **extra}]).json["probability"]
        for extra in ({}, {"duration": 5}, {"duration": None}, {"duration": {"a": 1}})
    ]
    assert all(score == scores[0] for score in scores)


@pytest.mark.example
def test_a_whole_number_may_be_written_as_a_fraction(service: Service, row: dict[str, Any]) -> None:
    body = json.dumps({"data": [{**row, "age": 12345}]}).encode()
    assert (
        service.request(body.replace(b"12345", b"41.0")).json["probability"]
        == service.request(body.replace(b"12345", b"41")).json["probability"]
    )


def test_a_thousand_rows_score_and_one_more_does_not(service: Service, row: dict[str, Any]) -> None:
    assert len(service.score([row] * 1000).json["result"]) == 1000
    refused = service.score([row] * 1001)
    assert (refused.status, refused.json["type"]) == (413, "urn:pushline:problem:too-many-rows")


def test_chunks_and_pieces_are_put_together(service: Service, two_customers: bytes) -> None:
    head = f"POST /score HTTP/1.1\r\nHost: test\r\nAuthorization: bearer {service.key}\r\nContent-Type: application/json; charset=UTF-8\r\n"
    middle = len(two_customers) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (two_customers[:middle], two_customers[middle:]))
    sent = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nx-trailer: 1\r\n\r\n"
    with service.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), 97):
            connection.sendall(sent[start : start + 97])
        assert Answer(received_of(connection)).status == 200


def test_pipelined_requests_are_answered_in_their_order(service: Service) -> None:
    one = "GET /healthz HTTP/1.1\r\nhost: test\r\nx-request-id: {}\r\n\r\n"
    sent = "".join(one.format(number) for number in range(50)) + "GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n"
    with service.connect() as connection:
        connection.sendall(sent.encode())
        received = b"".join(iter(lambda: connection.recv(1 << 20), b"")).decode()
    assert received.count("HTTP/1.1 200 OK") == 51
    positions = [received.index(f"x-request-id: {number}\r\n") for number in range(50)]
    assert positions == sorted(positions)


def test_a_connection_is_used_again_unless_the_client_says_close(service: Service, two_customers: bytes) -> None:
    with service.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n")
            assert Answer(received_of(connection)).status == 200
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        answer = Answer(received_of(connection))
        assert answer.headers["connection"] == "close"
        assert connection.recv(10) == b""


def test_http_1_0_closes_unless_the_client_asks_to_keep(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
        assert Answer(received_of(connection)).headers["connection"] == "keep-alive"
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert Answer(received_of(connection)).headers["connection"] == "close"
        assert connection.recv(10) == b""


def test_a_client_that_waits_is_told_to_continue(service: Service, two_customers: bytes) -> None:
    head = f"POST /score HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {service.key}\r\nexpect: 100-continue\r\n"
    head += f"content-length: {len(two_customers)}\r\n\r\n"
    with service.connect() as connection:
        connection.sendall(head.encode())
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(two_customers)
        assert Answer(received_of(connection)).status == 200


def test_head_answers_without_a_body_and_405_says_what_is_allowed(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"HEAD /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"content-length: 15\r\n" in received
    assert received.endswith(b"\r\n\r\n")
    assert service.request(b"", method="PUT").headers["allow"] == "POST"
    assert service.request(b"", method="POST", path="/readyz").headers["allow"] == "GET, HEAD"


def test_health_readiness_and_documents_need_no_key(service: Service) -> None:
    assert json.loads(get(service.url + "/healthz")) == {"status": "ok"}
    assert json.loads(get(service.url + "/readyz"))["release"] == "r1"
    assert get(service.url + "/openapi.json") == get(service.url + "/swagger.json")
    assert b"swagger-ui" in get(service.url + "/docs")
    assert b"swagger-ui" in get(service.url + "/")


def test_metrics_need_a_key_and_count(service: Service, row: dict[str, Any]) -> None:
    assert service.request(b"", method="GET", path="/metrics", key=None).status == 401

    def rows() -> float:
        text = service.request(b"", method="GET", path="/metrics").body.decode()
        assert 'pushline_release_info{release="r1",model_version="7"} 1' in text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("pushline_rows_total"))

    before = rows()
    service.score([row] * 3)
    assert rows() == before + 3


@pytest.mark.parametrize("kind", ["length", "chunks", "none"])
def test_an_upgrade_is_ignored_and_the_connection_stays_usable(service: Service, two_customers: bytes, kind: str) -> None:
    """JDK and Spring clients offer h2c with their first request."""
    upgrade = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    key = f"authorization: Bearer {service.key}\r\n"
    sent = {
        "length": f"POST /score HTTP/1.1\r\nhost: t\r\n{key}{upgrade}content-length: {len(two_customers)}\r\n\r\n".encode() + two_customers,
        "chunks": f"POST /score HTTP/1.1\r\nhost: t\r\n{key}{upgrade}transfer-encoding: chunked\r\n\r\n".encode()
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(two_customers), two_customers),
        "none": f"GET /healthz HTTP/1.1\r\nhost: t\r\n{upgrade}\r\n".encode(),
    }[kind]
    with service.connect() as connection:
        for _ in range(3):
            connection.sendall(sent)
            answer = Answer(received_of(connection))
            assert answer.status == 200
            assert "connection" not in answer.headers
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n")
        assert Answer(received_of(connection)).status == 200
