"""HTTP/1.1 without a socket: whatever the pieces, the same requests; whatever the client, a limit."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushline.serving.protocol import CHUNKS, HEAD_BYTES, PIPELINED, Protocol, Request

GET = b"GET /a HTTP/1.1\r\nhost: t\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nx-trailer: 1\r\n\r\n"
UPGRADE = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
OPEN = b"POST /c HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"


def upgrading(request: bytes) -> bytes:
    return request.replace(b"host: t\r\n", b"host: t\r\n" + UPGRADE)


def seen(pieces: list[bytes], max_bytes: int = 1000) -> list[tuple[bytes, bytes, bytes, str]]:
    """Method, address, body and problem of what is over after these pieces."""
    protocol = Protocol(Request, max_bytes)
    over = [request for piece in pieces for request in protocol.receive(piece) if request.complete or request.problem]
    return [(one.method, one.url, bytes(one.content), one.problem.kind if one.problem else "") for one in over]


@settings(max_examples=200, deadline=None)
@given(
    requests=st.lists(st.sampled_from([GET, POST, CHUNKED, upgrading(GET), upgrading(POST), upgrading(CHUNKED)]), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 1200), max_size=12),
    end=st.sampled_from([b"", b"\x00garbage\r\n\r\n", b"POST /x HTTP/1.1\r\nhost: t\r\nhost: t\r\n\r\n"]),
)
def test_the_pieces_in_which_bytes_arrive_change_nothing(requests: list[bytes], cuts: list[int], end: bytes) -> None:
    stream = b"".join(requests) + end
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:stop] for start, stop in pairwise(places)]
    expected = [(one.split()[0], one.split()[1], b"" if one.startswith(b"GET") else b"hello", "") for one in requests]
    got = seen(pieces)
    assert got == seen([stream])
    assert got[: len(requests)] == expected
    assert [kind for *_, kind in got[len(requests) :]] == (["bad-request"] if end else [])


def test_a_head_is_told_of_before_its_body_and_the_request_once_more() -> None:
    protocol = Protocol(Request, 1000)
    (head,) = protocol.receive(POST[:-2])
    assert not head.complete
    assert protocol.receive(POST[-2:]) == [head]
    assert head.complete
    assert head.content == b"hello"


def test_a_body_that_nobody_wants_is_counted_and_not_kept() -> None:
    protocol = Protocol(Request, 1000)
    (head,) = protocol.receive(OPEN)
    head.discard = True
    assert protocol.receive(b"5\r\nhello\r\n") == []
    assert (head.size, head.content) == (5, b"")
    (ended,) = protocol.receive(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    assert ended is head
    assert ended.problem is not None
    assert ended.problem.kind == "body-too-large"


def flood(protocol: Protocol[Request], start: bytes, piece: bytes, most: int = 3_000_000) -> tuple[Request, int]:
    """What ends an endless stream, and after how many bytes."""
    found = protocol.receive(start)
    sent = 0
    while not any(request.problem for request in found):
        assert sent < most, "it goes on for ever"
        found = protocol.receive(piece)
        sent += len(piece)
    return found[-1], sent


@pytest.mark.parametrize("size", [1, 100, 4_000, 60_000])
@pytest.mark.parametrize(
    ("start", "piece"),
    [
        pytest.param(OPEN + b"0\r\n", b"x-trailer: 1\r\n", id="trailers"),
        pytest.param(OPEN + b"0\r\nx: ", b"a" * 14, id="one trailer"),
        pytest.param(OPEN + b"5;x=", b"a" * 14, id="a chunk extension"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: t\r\n", b"x-header: 1\r\n", id="headers"),
        pytest.param(b"GET / HTTP/1.1\r\nhost: t\r\nx: ", b"a" * 14, id="one header"),
        pytest.param(b"GET /", b"a" * 14, id="an address"),
    ],
)
def test_what_is_no_body_is_bounded(start: bytes, piece: bytes, size: int) -> None:
    protocol = Protocol(Request, 1000)
    ended, sent = flood(protocol, start, piece * max(1, size // len(piece)))
    assert ended.problem is not None
    assert ended.problem.kind in ("headers-too-large", "address-too-long")
    assert sent <= 4 * HEAD_BYTES + 60_000
    assert protocol.receive(piece) == []


def test_chunks_are_bounded_in_number() -> None:
    ended, sent = flood(Protocol(Request, 1_000_000), OPEN, b"1\r\nx\r\n" * 1000)
    assert ended.problem is not None
    assert ended.problem.kind == "bad-request"
    assert sent <= 6 * (CHUNKS + 1000)
    assert ended.size <= CHUNKS


def test_small_chunks_of_a_large_body_are_taken() -> None:
    body = OPEN + b"5\r\nhello\r\n" * 5_000 + b"0\r\n\r\n"
    ((*_, content, problem),) = seen([body[start : start + 777] for start in range(0, len(body), 777)], 30_000)
    assert (content, problem) == (b"hello" * 5_000, "")


def test_requests_in_one_piece_are_bounded_in_number() -> None:
    got = seen([GET * 5_000])
    assert len(got) == PIPELINED + 2
    assert got[-1][-1] == "overloaded"


def test_an_upgrade_is_ignored_and_what_follows_is_read() -> None:
    assert [(url, body) for _, url, body, _ in seen([upgrading(POST) + upgrading(GET) + POST])] == [
        (b"/b", b"hello"), (b"/a", b""), (b"/b", b"hello")]  # fmt: skip
    assert seen([b"CONNECT t:443 HTTP/1.1\r\nhost: t\r\n\r\n"])[0][-1] == "bad-request"


def test_after_a_refusal_nothing_is_read() -> None:
    protocol = Protocol(Request, 1000)
    assert len(protocol.receive(b"nonsense\r\n\r\n" + GET)) == 1
    assert protocol.receive(GET) == []
