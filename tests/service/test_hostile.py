"""Requests that no honest client sends: each gets a problem document, cheaply, and the service scores on."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from service_made import Answer, Service, received_of

ROW: dict[str, Any] = {}


def post(body: bytes, *lines: bytes, length: int | None = None, kind: bytes = b"application/json") -> bytes:
    head = [
        b"POST /score HTTP/1.1",
        b"host: test",
        b"content-type: " + kind,
        b"content-length: %d" % (len(body) if length is None else length),
    ]
    return b"\r\n".join((*head, b"authorization: Bearer KEY", *lines)) + b"\r\n\r\n" + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", size: bytes = b"") -> bytes:
    lines = (
        b"POST /score HTTP/1.1",
        b"host: test",
        b"content-type: application/json",
        b"authorization: Bearer KEY",
        b"transfer-encoding: chunked",
    )
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    return head + b"".join((size or b"%x" % len(chunk)) + b"\r\n" + chunk + b"\r\n" for chunk in chunks) + end


def get(path: bytes, *lines: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1", host: bytes = b"host: test\r\n") -> bytes:
    return method + b" " + path + b" " + version + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def data(**changes: Any) -> bytes:
    """A request of one row with some values changed; `None` leaves a column out."""
    return json.dumps({"data": [{**ROW, **changes}]}).encode()


def value(text: bytes) -> bytes:
    """A request of one row whose age is this piece of JSON."""
    return data(age=12345).replace(b"12345", text)


# The name says what is wrong; the bytes (KEY stands for a valid key); the status. Bodies that need the row come as functions.
BODIES: list[tuple[str, Callable[[], bytes], int]] = [
    ("empty body", lambda: b"", 400),
    ("only white space", lambda: b" \n\t ", 400),
    ("not JSON", lambda: b"hello", 400),
    ("half of a document", lambda: data()[:-20], 400),
    ("two documents", lambda: data() + data(), 400),
    ("a byte order mark", lambda: b"\xef\xbb\xbf" + data(), 400),
    ("UTF-16", lambda: data().decode().encode("utf-16"), 400),
    ("UTF-32", lambda: data().decode().encode("utf-32"), 400),
    ("a byte that is no UTF-8", lambda: value(b'"\xff\xfe"'), 400),
    ("an overlong encoding", lambda: value(b'"\xc0\xaf"'), 400),
    ("a lone surrogate as value", lambda: value(b'"\\ud800"'), 422),
    ("a lone surrogate as name", lambda: data().replace(b'"age"', b'"\\udfff"'), 422),
    ("an encoded surrogate", lambda: value(b'"\xed\xa0\x80"'), 400),
    ("NUL bytes", lambda: b"\x00" * 100, 400),
    ("a NUL in a text", lambda: value(b'"\\u0000"'), 422),
    ("a raw control character", lambda: value(b'"\x01"'), 400),
    ("an unfinished escape", lambda: value(b'"\\u12"'), 400),
    ("single quotes", lambda: data().replace(b'"', b"'"), 400),
    ("a comment", lambda: b"/* hi */" + data(), 400),
    ("a trailing comma", lambda: data().replace(b"}]", b",}]"), 400),
    ("NaN", lambda: value(b"NaN"), 400),
    ("Infinity", lambda: value(b"Infinity"), 400),
    ("minus Infinity", lambda: value(b"-Infinity"), 400),
    ("a number beyond double", lambda: value(b"1e400"), 422),
    ("a number beyond float", lambda: value(b"1e300"), 422),
    ("a huge integer", lambda: value(b"9" * 300), 422),
    ("an integer of 100,000 digits", lambda: value(b"9" * 100_000), 400),
    ("a leading zero", lambda: value(b"041"), 400),
    ("a plus sign", lambda: value(b"+41"), 400),
    ("a hexadecimal number", lambda: value(b"0x29"), 400),
    ("a number without digits", lambda: value(b"-"), 400),
    ("a number as text", lambda: value(b'"41"'), 422),
    ("a fraction for a whole number", lambda: value(b"41.5"), 422),
    ("a truth value for a number", lambda: value(b"true"), 422),
    ("null for a number", lambda: value(b"null"), 422),
    ("a list for a number", lambda: value(b"[41]"), 422),
    ("an object for a number", lambda: value(b'{"a":41}'), 422),
    ("a value below its range", lambda: value(b"-1"), 422),
    ("a value above its range", lambda: value(b"1e9"), 422),
    ("a member twice", lambda: data().replace(b'"age"', b'"age": 41, "age"'), 400),
    ("a member twice, once escaped", lambda: data().replace(b'"age"', b'"\\u0061ge": 41, "age"'), 400),
    ("data twice", lambda: data()[:-1] + b', "data": []}', 400),
    ("the label among the columns", lambda: data(y="yes"), 422),
    ("an unknown column", lambda: data(shoe_size=44), 422),
    ("an unknown member beside data", lambda: data()[:-1] + b', "method": "predict"}', 422),
    ("a column of Python's own", lambda: data(__class__="x", __init__=1), 422),
    ("a list at the top", lambda: b"[1]", 422),
    ("a number at the top", lambda: b"1", 422),
    ("null at the top", lambda: b"null", 422),
    ("an object without data", lambda: b"{}", 422),
    ("data is an object", lambda: b'{"data": {}}', 422),
    ("data is a text", lambda: b'{"data": "rows"}', 422),
    ("data is empty", lambda: b'{"data": []}', 422),
    ("rows are lists", lambda: b'{"data": [[1, 2]]}', 422),
    ("rows are null", lambda: b'{"data": [null]}', 422),
    ("an empty row", lambda: b'{"data": [{}]}', 422),
    ("a row list bomb", lambda: b'{"data": [' + b"{}," * 100_000 + b"{}]}", 413),
    ("deeply nested lists", lambda: b"[" * 500_000, 400),
    ("deeply nested lists, closed", lambda: b"[" * 400_000 + b"]" * 400_000, 400),
    ("deeply nested objects", lambda: b'{"a":' * 150_000, 400),
    ("deep nesting inside an unused column", lambda: data(duration=1).replace(b'"duration": 1', b'"duration": ' + b"[" * 100_000), 400),
    ("a hundred thousand names", lambda: json.dumps({"data": [{f"n{i}": 0 for i in range(60_000)}]}).encode(), 422),
    ("a name of half a megabyte", lambda: data(**{"n" * 500_000: 1}), 422),
    ("a text of half a megabyte", lambda: data(job="x" * 500_000), 422),
    ("the same name 50,000 times", lambda: b'{"data": [{' + b'"a":1,' * 50_000 + b'"a":1}]}', 400),
]

REQUESTS: list[tuple[str, bytes, int]] = [
    ("a body above the limit", post(b"x", length=50_000_000), 413),
    ("a content-length beyond 64 bits", post(b"x").replace(b"content-length: 1", b"content-length: 99999999999999999999999"), 400),
    ("a negative content-length", post(b"x").replace(b"content-length: 1", b"content-length: -1"), 400),
    ("a content-length that is no number", post(b"x").replace(b"content-length: 1", b"content-length: one"), 400),
    ("two content-lengths", post(b"x", b"content-length: 2"), 400),
    ("content-length and chunked", post(b"x", b"transfer-encoding: chunked"), 400),
    ("a chunk size that is no number", chunked(b"x", size=b"zz"), 400),
    ("a negative chunk size", chunked(b"x", size=b"-1"), 400),
    ("a chunk size beyond 64 bits", chunked(b"x", size=b"f" * 20), 400),
    ("chunks above the limit", chunked(*[b"x" * 65_536] * 20), 413),
    ("an unknown transfer coding", post(b"", b"transfer-encoding: banana"), 400),
    ("a compressed body", post(b"\x1f\x8b\x08", b"content-encoding: gzip"), 415),
    ("a form", post(b"data=1", kind=b"application/x-www-form-urlencoded"), 415),
    ("text", post(b"{}", kind=b"text/plain"), 415),
    ("another charset", post(b"{}", kind=b"application/json; charset=latin-1"), 415),
    ("no host", get(b"/healthz", host=b""), 400),
    ("two hosts", get(b"/healthz", b"host: other"), 400),
    ("two keys", post(b"{}", b"authorization: Bearer other"), 400),
    ("no key", post(b"{}").replace(b"authorization: Bearer KEY\r\n", b""), 401),
    ("a wrong key", post(b"{}").replace(b"KEY", b"wrong"), 401),
    ("an empty key", post(b"{}").replace(b"Bearer KEY", b"Bearer "), 401),
    ("a key that is not ASCII", post(b"{}").replace(b"KEY", b"\xc3\xa9\xff"), 401),
    ("basic authentication", post(b"{}").replace(b"Bearer KEY", b"Basic a2V5OmtleQ=="), 401),
    ("an unknown address", get(b"/etc/passwd"), 404),
    ("a climbing address", get(b"/docs/../../etc/passwd"), 404),
    ("an encoded climbing address", get(b"/docs/%2e%2e/%2e%2e/etc/passwd"), 404),
    ("an address with a NUL", get(b"/docs/%00"), 404),
    ("a wrong method", get(b"/score", method=b"GET"), 405),
    ("a method that removes", get(b"/score", method=b"DELETE"), 405),
    ("a method of WebDAV", get(b"/score", method=b"PROPFIND"), 405),
    ("a post to a page", get(b"/healthz", b"content-length: 0", method=b"POST"), 405),
    ("trace", get(b"/score", method=b"TRACE"), 405),
    ("connect", get(b"test:443", method=b"CONNECT"), 400),
    ("a method nobody knows", get(b"/score", method=b"BREW"), 400),
    ("a lower-case method", get(b"/score", method=b"get"), 400),
    ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
    ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", 400),
    ("HTTP/3.7", get(b"/healthz", version=b"HTTP/3.7"), 400),
    ("a header without a colon", get(b"/healthz", b"nonsense"), 400),
    ("a header with a space in its name", get(b"/healthz", b"bad name: 1"), 400),
    ("a header with a NUL", get(b"/healthz", b"x: a\x00b"), 400),
    ("a folded header", get(b"/healthz", b"x: a", b"  folded"), 400),
    ("a line end without carriage return inside a header", get(b"/healthz", b"x: a\nhost: other"), 400),
    ("an address of 10,000 bytes", get(b"/" + b"a" * 10_000), 414),
    ("an address of 100,000 bytes", get(b"/" + b"a" * 100_000), 414),
    ("a header of 20,000 bytes", get(b"/healthz", b"x: " + b"a" * 20_000), 431),
    ("5,000 headers", get(b"/healthz", *[b"x%d: 1" % i for i in range(5_000)]), 431),
    ("an expectation nobody can meet", post(b"{}", b"expect: a-pony"), 417),
    ("an expectation with a wrong key", post(b"{}", b"expect: 100-continue").replace(b"KEY", b"wrong"), 401),
    ("an expectation to send too much", post(b"", b"expect: 100-continue", length=50_000_000), 413),
]


@contextmanager
def cheaply(service: Service) -> Iterator[None]:
    """What is asked inside costs the worker little of a processor, however busy the machine is."""
    worker = psutil.Process(service.worker)
    before = worker.cpu_times()
    yield
    after = worker.cpu_times()
    assert after.user + after.system - before.user - before.system < 1


def check_problem(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json
    assert document["status"] == status
    assert document["type"].startswith("urn:pushline:problem:")
    assert document["title"]
    assert document["detail"]
    assert document["request_id"] == answer.headers["x-request-id"]


@pytest.mark.example
@pytest.mark.parametrize(("body", "status"), [pytest.param(body, status, id=name) for name, body, status in BODIES])
def test_a_hostile_body_gets_a_problem_document(
    service: Service, row: dict[str, Any], body: Callable[[], bytes], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROW", row)
    sent = post(body()).replace(b"KEY", service.key.encode())
    with cheaply(service):
        check_problem(service.raw(sent), status)


@pytest.mark.parametrize(("sent", "status"), [pytest.param(sent, status, id=name) for name, sent, status in REQUESTS])
def test_a_hostile_request_gets_a_problem_document(service: Service, sent: bytes, status: int) -> None:
    with cheaply(service):
        check_problem(service.raw(sent.replace(b"KEY", service.key.encode())), status)


def test_a_request_that_ends_half_way_is_answered(service: Service) -> None:
    sent = post(b"{", length=1000).replace(b"KEY", service.key.encode())
    check_problem(service.raw(sent, shut=True), 400)


def test_a_request_smuggled_behind_an_answered_one_is_not_run(service: Service) -> None:
    """The second request hides in the body of a chunked first one; it is data, whatever it looks like."""
    hidden = get(b"/metrics", b"authorization: Bearer " + service.key.encode())
    sent = chunked(hidden).replace(b"KEY", service.key.encode())
    with service.connect() as connection:
        connection.sendall(sent)
        check_problem(Answer(received_of(connection)), 400)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
