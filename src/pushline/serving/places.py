"""The connections of one process: as many as the settings allow, counted until their descriptors are closed.

A client that has shown a key goes before those that have not: where all places are taken, the stranger that came first is
reset for the one that comes, so strangers, however many, slow or silent, can keep out neither each other nor a client.
"""

import resource
from typing import Protocol

REFUSED_AT_MOST = 64  # who are told that all places are taken, until they have read it
OTHER_DESCRIPTORS = 64  # log, records, model, event loop
SLOW_S = 1.0  # a client that leaves its answers unread for this long gives way


class Guest(Protocol):
    """What is known of a connection here."""

    since: float

    def is_idle(self) -> bool: ...
    def unsent(self) -> int: ...
    def reset(self) -> None: ...
    def look(self, now: float) -> None: ...
    def close(self) -> None: ...


class ConnectionSlots:
    """Who has a place. Dicts, for their order: by arrival."""

    def __init__(self, limit: int) -> None:
        self.limit = possible(limit)
        self.strangers: dict[Guest, None] = {}
        self.clients: dict[Guest, None] = {}
        self.refused: dict[Guest, None] = {}

    def __len__(self) -> int:
        return len(self.strangers) + len(self.clients) + len(self.refused)

    def all(self) -> list[Guest]:
        return [*self.strangers, *self.clients, *self.refused]

    def enter(self, guest: Guest, now: float) -> bool:
        """Give a place to who comes; False where all are in use by clients. It counts in either case."""
        if len(self.strangers) + len(self.clients) >= self.limit:
            leaving = next(iter(self.strangers), None) or self.spare_client(now)
            if leaving is None:
                if len(self.refused) >= REFUSED_AT_MOST:
                    self.give_up(next(iter(self.refused)))
                self.refused[guest] = None
                return False
            self.give_up(leaving)
        self.strangers[guest] = None
        return True

    def spare_client(self, now: float) -> Guest | None:
        """The client that has asked nothing, or read nothing, for longest."""
        spare = [one for one in self.clients if (one.is_idle() and not one.unsent()) or (one.unsent() and now - one.since > SLOW_S)]
        return min(spare, key=lambda one: one.since, default=None)

    def trust(self, guest: Guest) -> None:
        """It has shown a key."""
        if self.strangers.pop(guest, guest) is None:
            self.clients[guest] = None

    def give_up(self, guest: Guest) -> None:
        """Reset it: what it did not read is dropped and its descriptor closed within this turn of the loop."""
        self.leave(guest)
        guest.reset()

    def leave(self, guest: Guest) -> None:
        for places in (self.strangers, self.clients, self.refused):
            places.pop(guest, None)


def possible(limit: int) -> int:
    """As many as wanted, or as this process may have descriptors; its own limit is raised as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limit + REFUSED_AT_MOST + OTHER_DESCRIPTORS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(limit, soft - REFUSED_AT_MOST - OTHER_DESCRIPTORS))
