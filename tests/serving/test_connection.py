"""One connection without a socket or a clock: what is answered, in which order, what waits, and what ends it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pushline.serving import connection as connections
from pushline.serving.app import App
from pushline.serving.connection import A_TURN, DISCARDED_AT_MOST, DROPPED_AT_MOST, IDLE_S, LINGER_S, WRITE_BUFFER, Connection
from pushline.serving.exchange import Exchange
from pushline.serving.keys import KeyRing, make_keys
from pushline.serving.problems import Problem
from pushline.settings import Serving

TIMEOUT_S = 7.0
OPENAPI = b'{"info": {"title": "t", "version": "1"}}'
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n"


class Wire:
    """The transport's side: what was written, and what was asked of it."""

    def __init__(self) -> None:
        self.written = b""
        self.calls: list[str] = []
        self.high = self.unsent = 0

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return "close" in self.calls or "abort" in self.calls

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.calls.append(name)

    @property
    def reads(self) -> bool:
        """Whether it reads from the client."""
        said = [call for call in self.calls if call in ("pause_reading", "resume_reading")]
        return not said or said[-1] == "resume_reading"

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        """Status and body of each answer."""
        found, rest = [], self.written
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")), 0)
            found.append((int(head.split()[1]), rest[:length]))
            rest = rest[length:]
        return found

    @property
    def statuses(self) -> list[int]:
        return [status for status, _ in self.answers]


class Echo(App):
    """Answers with the body it got, or later."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.own_keys = make_keys(folder / "keys.json")
        super().__init__(Serving(timeout=TIMEOUT_S, max_bytes=200_000, **settings), KeyRing(folder / "keys.json"))
        self.late: list[Exchange] = []
        self.faults: list[BaseException] = []
        handlers = {"POST /score": self.echo, "GET /metrics": self.late.append, "GET /healthz": self.health}
        self.offer(handlers, OPENAPI, json=("POST /score",))
        self.tick()

    def echo(self, exchange: Exchange) -> None:
        self.reply(exchange, 200, b"application/json", exchange.body())

    def fault(self, error: BaseException, **where: Any) -> None:
        self.faults.append(error)

    def later(self, *lines: bytes) -> bytes:
        return self.with_key(b"GET /metrics HTTP/1.1", *lines) + b"\r\n\r\n"

    def score(self, body: bytes, *lines: bytes) -> bytes:
        return self.with_key(b"POST /score HTTP/1.1", b"content-length: %d" % len(body), *lines) + b"\r\n\r\n" + body

    def with_key(self, *lines: bytes) -> bytes:
        return b"\r\n".join((*lines, b"host: t", b"authorization: Bearer " + self.own_keys.primary.encode()))


@pytest.fixture
def app(tmp_path: Path) -> Echo:
    return Echo(tmp_path)


def connected(app: App) -> tuple[Connection, Wire]:
    made, wire = Connection(app), Wire()
    made.connection_made(wire)
    assert wire.high == WRITE_BUFFER
    return made, wire


def in_loop(talk: Callable[[], None], *, turns: int = 0) -> None:
    """Run something, and so many turns of the event loop behind it."""

    async def run() -> None:
        talk()
        for _ in range(turns):
            await asyncio.sleep(0)

    asyncio.run(run())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the connections take for the time: the last entry."""
    now = [1000.0]
    monkeypatch.setattr(connections, "monotonic", lambda: now[-1])
    return now


def test_requests_are_answered_in_their_order_and_the_connection_stays(app: Echo) -> None:
    own, wire = connected(app)
    assert own.state == "idle"
    in_loop(lambda: own.data_received(app.score(b"1") + HEALTH + app.score(b"2")))
    assert wire.answers == [(200, b"1"), (200, b'{"status":"ok"}'), (200, b"2")]
    assert (own.state, wire.reads, wire.is_closing()) == ("idle", True, False)
    own.data_received(app.score(b"3"))
    assert wire.answers[-1] == (200, b"3")


def test_a_request_that_comes_in_pieces_is_reading_until_it_is_whole(app: Echo, clock: list[float]) -> None:
    own, wire = connected(app)
    sent = app.score(b"12345678")
    for number, (start, state) in enumerate(((0, "reading"), (1, "reading"), (len(sent) - 3, "reading"), (len(sent) - 1, "idle"))):
        clock.append(2000.0 + number)
        own.data_received(sent[start : (1, len(sent) - 3, len(sent) - 1, len(sent))[number]])
        assert own.state == state
        assert own.since == (2003 if state == "idle" else 2000)  # what trickles renews nothing
    assert wire.answers == [(200, b"12345678")]


def test_more_than_a_turn_lets_others_come_in_between(app: Echo) -> None:
    own, wire = connected(app)
    seen: list[tuple[int, bool]] = []

    def talk() -> None:
        own.data_received(HEALTH * (3 * A_TURN - 1))
        seen.append((len(wire.answers), wire.reads))
        asyncio.get_running_loop().call_soon(lambda: seen.append((len(wire.answers), wire.reads)))

    in_loop(talk, turns=5)
    assert seen == [(A_TURN, False), (2 * A_TURN, False)]
    assert (wire.statuses, wire.reads, own.state) == ([200] * (3 * A_TURN - 1), True, "idle")


def test_who_does_not_read_is_answered_no_more_until_it_does(app: Echo, clock: list[float]) -> None:
    own, wire = connected(app)
    clock.append(3000.0)
    own.pause_writing()
    assert (wire.reads, own.since) == (False, 3000)
    in_loop(lambda: own.data_received(HEALTH * 3))
    assert (wire.answers, own.state) == ([], "reading")
    clock.append(3001.0)
    in_loop(own.resume_writing)
    assert (wire.statuses, wire.reads, own.state, own.since) == ([200] * 3, True, "idle", 3001)


def test_requests_behind_one_that_is_answered_later_wait_for_it(app: Echo, clock: list[float]) -> None:
    own, wire = connected(app)

    def talk() -> None:
        own.data_received(app.later())
        assert (own.state, wire.reads, wire.answers) == ("reading", False, [])
        own.data_received(HEALTH)
        own.data_received(HEALTH * 2)
        assert wire.answers == []
        clock.append(5000.0)
        own.look(5000.0)  # it is ours to answer: no limit of the client's
        assert own.since == 5000
        app.reply(app.late.pop(), 200, b"text/plain", b"late")

    in_loop(talk)
    assert wire.answers[0] == (200, b"late")
    assert (wire.statuses, wire.reads, own.state, own.pending) == ([200] * 4, True, "idle", None)


def test_one_that_is_answered_later_ends_the_connection_where_the_client_asked(app: Echo) -> None:
    own, wire = connected(app)

    def talk() -> None:
        own.data_received(app.later(b"connection: close"))
        assert not wire.is_closing()
        app.reply(app.late.pop(), 200, b"text/plain", b"late")

    in_loop(talk)
    assert (wire.answers, own.state, wire.calls.count("close")) == ([(200, b"late")], "closed", 1)


def test_a_last_request_ends_the_connection_and_those_behind_it_are_dropped(app: Echo) -> None:
    own, wire = connected(app)
    last = HEALTH.replace(b"host: t", b"host: t\r\nconnection: close")
    in_loop(lambda: own.data_received(HEALTH + last + HEALTH))
    assert (wire.statuses, own.state, wire.calls.count("close"), len(own.waiting)) == ([200, 200], "closed", 1, 0)
    own.data_received(HEALTH)
    assert wire.statuses == [200, 200]


def test_a_service_that_drains_answers_once_more(app: Echo) -> None:
    own, wire = connected(app)
    app.draining = True
    own.data_received(HEALTH)
    assert b"connection: close" in wire.written
    assert (wire.statuses, own.state) == ([200], "closed")


def test_who_shows_a_key_is_a_client_and_others_are_strangers(app: Echo) -> None:
    own, _ = connected(app)
    own.data_received(HEALTH)
    own.data_received(app.score(b"").replace(app.own_keys.primary.encode(), b"wrong"))
    assert (list(app.places.strangers), list(app.places.clients), own.trusted) == ([own], [], False)
    own.data_received(app.score(b"1"))
    own.data_received(app.score(b"1"))
    assert (list(app.places.strangers), list(app.places.clients), own.trusted) == ([], [own], True)
    own.connection_lost(None)
    assert (len(app.places), own.state, own.protocol.ended) == (0, "closed", True)


def test_where_all_places_are_taken_it_is_told_to_come_back(tmp_path: Path) -> None:
    app = Echo(tmp_path, max_in_flight=1)
    client, _ = connected(app)
    client.data_received(app.score(b"1") + app.score(b"12")[:-1])
    own, wire = connected(app)
    ((status, _),) = wire.answers
    assert (status, own.state) == (503, "lingering")
    assert b"retry-after: 1\r\n" in wire.written


def test_a_refused_body_that_is_short_is_dropped_and_the_connection_stays(app: Echo) -> None:
    own, wire = connected(app)
    sent = b"POST /score HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n"
    own.data_received(sent % DISCARDED_AT_MOST)
    assert wire.answers == []
    own.data_received(b"x" * DISCARDED_AT_MOST)
    own.data_received(app.score(b"1"))
    assert (wire.statuses, own.state) == ([401, 200], "idle")
    own.data_received(sent % (DISCARDED_AT_MOST + 1))
    assert (wire.statuses, own.state, wire.calls[-1]) == ([401, 200, 401], "lingering", "write_eof")


@pytest.mark.parametrize("line", [b"transfer-encoding: chunked", b"content-length: 5\r\nexpect: 100-continue"])
def test_a_refused_body_of_unknown_length_or_that_waits_to_be_wanted_is_not_waited_for(app: Echo, line: bytes) -> None:
    own, wire = connected(app)
    own.data_received(b"POST /score HTTP/1.1\r\nhost: t\r\nx-request-id: mine\r\n" + line + b"\r\n\r\n")
    assert (wire.statuses, own.state, b"connection: close" in wire.written) == ([401], "lingering", True)
    assert b"x-request-id: mine\r\n" in wire.written
    own.fail(Problem("timeout"))
    assert wire.statuses == [401]


def test_a_client_that_waits_to_be_told_is_told_to_go_on(app: Echo) -> None:
    own, wire = connected(app)
    sent = app.score(b"12345", b"expect: 100-continue")
    own.data_received(sent[:-5])
    assert wire.written == b"HTTP/1.1 100 Continue\r\n\r\n"
    own.data_received(b"12345")
    assert wire.statuses == [100, 200]
    old, of_old = connected(app)
    old.data_received(sent[:-5].replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert of_old.written == b""
    plain, of_plain = connected(app)
    plain.data_received(app.score(b"12345")[:-5])
    assert of_plain.written == b""


def test_what_can_not_be_read_is_answered_once_and_the_rest_counted_and_dropped(app: Echo, clock: list[float]) -> None:
    own, wire = connected(app)
    clock.append(4000.0)
    in_loop(lambda: own.data_received(HEALTH + b"NONSENSE\r\n\r\n"))
    assert (wire.statuses, own.state, own.since) == ([200, 400], "lingering", 4000)
    assert "write_eof" in wire.calls
    own.data_received(b"x" * DROPPED_AT_MOST)
    assert "abort" not in wire.calls
    own.data_received(b"x")
    assert wire.calls[-1] == "abort"
    assert wire.statuses == [200, 400]


def test_the_end_of_what_a_client_sends(app: Echo) -> None:
    idle, wire = connected(app)
    assert idle.eof_received() is False
    assert (wire.answers, wire.calls) == ([], [])
    half, wire = connected(app)
    half.data_received(app.score(b"12345")[:-1])
    assert half.eof_received() is False
    ((status, document),) = wire.answers
    assert status == 400
    assert b"The request ended before it was complete." in document
    assert (half.state, wire.calls) == ("closed", ["close"])


def test_what_came_before_the_end_is_answered_first(app: Echo) -> None:
    waiting, wire = connected(app)

    def talk() -> None:
        waiting.data_received(app.later())
        waiting.data_received(HEALTH + app.score(b"12")[:-1])
        assert waiting.eof_received() is True
        assert (wire.answers, wire.is_closing()) == ([], False)
        app.reply(app.late.pop(), 200, b"text/plain", b"late")

    in_loop(talk)
    assert (wire.statuses, waiting.state, wire.calls.count("close")) == ([200, 200], "closed", 1)
    full, wire = connected(app)

    def many() -> None:
        full.data_received(HEALTH * (A_TURN + 1))
        assert full.eof_received() is True

    in_loop(many, turns=3)
    assert (wire.statuses, full.state) == ([200] * (A_TURN + 1), "closed")


@pytest.mark.parametrize(
    ("start", "limit", "end", "statuses"),
    [
        pytest.param(lambda own, app: None, IDLE_S, "close", [], id="idle"),
        pytest.param(lambda own, app: setattr(app, "draining", True), 0.5, "close", [], id="idle while the service drains"),
        pytest.param(lambda own, app: own.data_received(b"GET /h"), TIMEOUT_S, "write_eof", [408], id="reading"),
        pytest.param(lambda own, app: own.data_received(b"NONSENSE\r\n\r\n"), LINGER_S, "abort", [400], id="lingering"),
        pytest.param(lambda own, app: own.pause_writing(), TIMEOUT_S, "abort", [], id="does not read"),
        pytest.param(lambda own, app: own.close(), TIMEOUT_S, "abort", [], id="its last answers are being written"),
    ],
)
def test_what_takes_too_long_ends(app: Echo, clock: list[float], start: Callable[..., None], limit: float, end: str, statuses: Any) -> None:
    own, wire = connected(app)
    start(own, app)
    before = list(wire.calls)
    own.look(clock[0] + limit)
    assert wire.calls == before
    own.look(clock[0] + limit + 0.01)
    assert wire.calls[-1] == end
    assert wire.calls != before
    assert wire.statuses == statuses
    if statuses == [408]:
        assert b"A request must arrive within 7 seconds." in wire.written
        assert own.state == "lingering"


def test_a_client_that_reads_slowly_has_time_and_one_that_reads_nothing_has_not(app: Echo, clock: list[float]) -> None:
    own, wire = connected(app)
    wire.unsent = 900
    own.look(clock[0] + 1)
    for seconds in (6, 12, 18):
        wire.unsent -= 100
        own.look(clock[0] + seconds)
        assert own.since == clock[0] + seconds
    own.look(clock[0] + 18 + TIMEOUT_S)
    assert not wire.calls
    own.look(clock[0] + 18 + TIMEOUT_S + 0.01)
    assert wire.calls == ["abort"]


def test_it_says_of_itself_what_the_places_ask(app: Echo) -> None:
    own, wire = connected(app)
    wire.unsent = 5
    assert (own.is_idle(), own.unsent()) == (True, 5)
    own.data_received(b"GET")
    assert not own.is_idle()
    own.reset()
    assert (own.state, wire.calls) == ("closed", ["abort"])
    own.close()
    assert wire.calls == ["abort"]
    own.fail(Problem("timeout"))
    assert wire.answers == []
