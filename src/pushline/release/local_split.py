"""Live requests shared with the candidate on this machine: the live release's workers hand them over, for as long as they are told to."""

import contextlib
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec

from pushline.errors import TargetError
from pushline.release.process import ANSWER_S
from pushline.release.state import LocalSlot
from pushline.release.traffic import RequestCounts, counts_of
from pushline.serving.client import Client
from pushline.serving.control import Order, Question


@contextlib.contextmanager
def split_of(live: LocalSlot, candidate: LocalSlot, key: str) -> Iterator["LocalSplit"]:
    """A split, until the block ends or this process does: it lasts as long as its connection to the live release's supervisor."""
    process = live.running
    if process is None:
        raise live_gone(live)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S)
        try:
            connection.connect(process.control)
        except OSError as error:
            raise live_gone(live) from error
        yield LocalSplit(connection, live, candidate, key)


class LocalSplit:
    """The TrafficSplit of the local target."""

    def __init__(self, connection: socket.socket, live: LocalSlot, candidate: LocalSlot, key: str) -> None:
        self.connection = connection
        self.live = live
        self.candidate = candidate
        self.key = key
        self.seen = RequestCounts()  # of the candidate, the last time it said

    def give(self, share: float, *, mirror: float = 0.0) -> None:
        place = urlsplit(self.candidate.url)
        order = Order(share=share, mirror=mirror, host=place.hostname or "", port=place.port or 0)
        try:
            self.connection.sendall(msgspec.json.encode(Question(do="split", order=order)) + b"\n")
            said = msgspec.json.decode(self.connection.recv(4096), type=dict[str, bool])
        except (OSError, msgspec.DecodeError) as error:
            raise live_gone(self.live) from error
        if not said.get("ok"):
            raise live_gone(self.live)

    def counts(self) -> tuple[RequestCounts, RequestCounts]:
        live = self.counted(self.live)
        if live is None:
            raise live_gone(self.live)
        if self.candidate.running is None:
            raise TargetError(
                f"The candidate {self.candidate.release.id} has ended while it answered live requests.",
                why="The live release answered what the candidate had not.",
                do="build/promote and `.pushline/logs/candidate.err` say more; `pushline deploy` starts it again.",
            )
        self.seen = self.counted(self.candidate) or self.seen
        lost = live.handed_back  # the candidate can't have counted them
        requests, failures = self.seen.requests + lost, self.seen.failures + lost
        paired = {"compared": live.compared, "flipped": live.flipped}
        return live, msgspec.structs.replace(self.seen, requests=requests, failures=failures, **paired)

    def counted(self, slot: LocalSlot) -> RequestCounts | None:
        answer = Client(slot.url, timeout_s=ANSWER_S).get("/metrics", self.key)
        return counts_of(answer.body.decode()) if answer.status == 200 else None


def live_gone(live: LocalSlot) -> TargetError:
    return TargetError(
        f"The live release {live.release.id} has ended, or another took its place, while its requests were shared.",
        do="Look at `pushline status`; nothing was promoted.",
    )
