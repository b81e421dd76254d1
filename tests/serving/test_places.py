"""Who has a place, and who gives way."""

from pushline.serving.places import REFUSED_AT_MOST, ConnectionSlots


class Guest:
    def __init__(self, *, idle: bool = True, unsent: int = 0, since: float = 0.0) -> None:
        self.idle, self.bytes, self.since, self.was_reset = idle, unsent, since, False

    def is_idle(self) -> bool:
        return self.idle

    def unsent(self) -> int:
        return self.bytes

    def reset(self) -> None:
        self.was_reset = True

    def look(self, now: float) -> None: ...
    def close(self) -> None: ...


def clients(places: ConnectionSlots, count: int, **how: float) -> list[Guest]:
    made = [Guest(**how) for _ in range(count)]  # type: ignore[arg-type]
    for one in made:
        places.enter(one, 0.0)
        places.trust(one)
    return made


def test_the_stranger_that_came_first_gives_way_and_clients_stay() -> None:
    places = ConnectionSlots(4)
    known = clients(places, 2)
    strangers = [Guest(idle=False) for _ in range(100)]
    assert all(places.enter(one, 0.0) for one in strangers)
    assert len(places) == 4
    assert [one.was_reset for one in strangers] == [True] * 98 + [False] * 2
    assert not any(one.was_reset for one in known)


def test_an_idle_client_gives_way_where_all_are_clients() -> None:
    places = ConnectionSlots(2)
    old, new = clients(places, 1, since=1.0) + clients(places, 1, since=2.0)
    assert places.enter(Guest(), 5.0)
    assert (old.was_reset, new.was_reset) == (True, False)


def test_a_client_that_does_not_read_gives_way_after_a_while() -> None:
    places = ConnectionSlots(2)
    slow, busy = clients(places, 1, idle=False, unsent=9)[0], clients(places, 1, idle=False)[0]
    assert not places.enter(Guest(), 0.5)
    assert places.enter(Guest(), 5.0)
    assert (slow.was_reset, busy.was_reset) == (True, False)


def test_those_who_are_told_to_come_back_are_bounded_too() -> None:
    places = ConnectionSlots(2)
    clients(places, 2, idle=False)
    told = [Guest() for _ in range(500)]
    assert not any(places.enter(one, 0.0) for one in told)
    assert len(places) == 2 + REFUSED_AT_MOST
    assert sum(one.was_reset for one in told) == 500 - REFUSED_AT_MOST


def test_who_leaves_makes_room() -> None:
    places = ConnectionSlots(1)
    (one,) = clients(places, 1, idle=False)
    places.leave(one)
    assert len(places) == 0
    places.trust(one)  # it is gone
    assert len(places) == 0
