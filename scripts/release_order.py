"""What is live after pushes, retrains and rollbacks that meet: every order in which their steps can happen, by GitHub's own rules.

The rules of a concurrency group are GitHub's (docs.github.com, "Control the concurrency of workflows and jobs"): one job of a group
runs; one more waits, and a newer one that comes to wait cancels it, unless `queue: max` lets all wait in their order;
`cancel-in-progress` cancels the one that runs. What each job asks for, and whether it looks again before it acts, is read from the
workflow files.
"""

import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
Release = tuple[str, int]  # its name, and how new its commit is
FIRST, BEFORE = ("the release before", -1), ("the live release", 0)


@dataclass(frozen=True)
class Event:
    """Something that ends in a job of a concurrency group."""

    name: str
    commit: int = 0  # of a delivery; retrain delivers the newest


OLDER, NEWER, RETRAIN, ROLLBACK = Event("older push", 1), Event("newer push", 2), Event("retrain", 2), Event("rollback")
EVENTS = (OLDER, NEWER, RETRAIN, ROLLBACK)


@dataclass(frozen=True)
class Asked:
    """What a job that reaches users asks of GitHub, and of Pushline."""

    group: str
    queue: str
    cancels: bool
    looks_again: bool  # a delivery decides again; a rollback names what its approver saw


def asked(workflows: Path, workflow: str, job: str, again: str) -> Asked:
    body = yaml.safe_load((workflows / workflow).read_text(encoding="utf-8"))["jobs"][job]
    said = body.get("concurrency") or {"group": workflow}
    commands = [str(step.get("run", "")) for step in body["steps"]]
    return Asked(
        str(said["group"]),
        str(said.get("queue", "single")),
        bool(said.get("cancel-in-progress")),
        any(again in command for command in commands),
    )


def settings(workflows: Path = ROOT / ".github" / "workflows") -> Mapping[str, Asked]:
    """By event. Retrain calls deliver.yml, so its release job is the same."""
    deliver = asked(workflows, "deliver.yml", "release", "register --again")
    return {event.name: deliver for event in EVENTS} | {ROLLBACK.name: asked(workflows, "rollback.yml", "rollback", "--to")}


@dataclass(frozen=True)
class World:
    """How far each run is, who runs and waits in each group, and what was released, the live one last."""

    saw: tuple[tuple[Event, Release | None], ...] = ()  # what its evidence showed: the release that would be replaced or come back
    running: tuple[Event, ...] = ()
    waiting: tuple[Event, ...] = ()
    decided: tuple[tuple[Event, bool], ...] = ()
    ended: tuple[tuple[Event, str], ...] = ()
    releases: tuple[Release, ...] = (FIRST, BEFORE)
    wrong: frozenset[str] = field(default_factory=frozenset)

    @property
    def live(self) -> Release:
        return self.releases[-1]


class Simulation:
    """All that can happen to some events."""

    def __init__(self, events: tuple[Event, ...], asks: Mapping[str, Asked]) -> None:
        self.events, self.asks = events, asks
        self.explored = cache(self._explored)

    def _explored(self, world: World) -> tuple[int, frozenset[World]]:
        """How many orders lead on from here, and the ends they lead to."""
        nexts = list(self.nexts(world))
        if not nexts:
            return 1, frozenset([world])
        found = [self.explored(each) for each in nexts]
        return sum(number for number, _ in found), frozenset().union(*(ends for _, ends in found))

    def nexts(self, world: World) -> Iterator[World]:
        seen, over = dict(world.saw), dict(world.ended)
        for event in self.events:
            if event not in seen:
                sees = (world.releases[-2] if len(world.releases) > 1 else None) if event is ROLLBACK else world.live
                yield replace(world, saw=(*world.saw, (event, sees)))
            elif event in world.running:
                yield self.started(self.finished(world, event))
            elif event not in world.waiting and event not in over:
                yield self.started(self.queued(world, event))

    def queued(self, world: World, event: Event) -> World:
        asks = self.asks[event.name]
        same = [each for each in world.waiting if self.asks[each.name].group == asks.group]
        gone = same if asks.queue != "max" else []
        if asks.cancels:
            gone = [*gone, *(each for each in world.running if self.asks[each.name].group == asks.group)]
        return replace(
            world,
            waiting=(*(each for each in world.waiting if each not in gone), event),
            running=tuple(each for each in world.running if each not in gone),
            ended=(*world.ended, *((each, "cancelled") for each in gone)),
            wrong=world.wrong | {f"{event.name} cancels {each.name}" for each in gone},
        )

    def started(self, world: World) -> World:
        """GitHub starts the first that waits as soon as its group is free; what it decides, it decides now."""
        for event in world.waiting:
            if any(self.asks[each.name].group == self.asks[event.name].group for each in world.running):
                continue
            going = replace(world, waiting=tuple(each for each in world.waiting if each != event), running=(*world.running, event))
            return self.started(replace(going, decided=(*going.decided, (event, self.may(going, event)))))
        return world

    def may(self, world: World, event: Event) -> bool:
        saw, again = dict(world.saw)[event], self.asks[event.name].looks_again
        if event is ROLLBACK:
            there = world.releases[-2] if len(world.releases) > 1 else None
            return there is not None and (there == saw or not again)
        against = world.live if again or saw is None else saw
        return event.commit >= against[1]

    def finished(self, world: World, event: Event) -> World:
        left = tuple(each for each in world.running if each != event)
        over = replace(world, running=left)
        if not dict(world.decided)[event]:
            return replace(over, ended=(*world.ended, (event, "stood back")))
        wrong = set(world.wrong) | {f"{event.name} acts while {each.name} does" for each in left}
        if event is ROLLBACK:
            if len(world.releases) < 2 or world.releases[-2] != dict(world.saw)[event]:
                wrong.add("a rollback goes to another release than its approver saw")
            return replace(over, ended=(*world.ended, (event, "done")), releases=world.releases[:-1] or (FIRST,), wrong=frozenset(wrong))
        if event.commit < world.live[1]:
            wrong.add(f"{event.name} displaces {world.live[0]}")
        made = (*world.releases, (event.name, event.commit))
        return replace(over, ended=(*world.ended, (event, "done")), releases=made, wrong=frozenset(wrong))


def explored(asks: Mapping[str, Asked], events: tuple[Event, ...] = EVENTS) -> tuple[int, frozenset[World]]:
    """How many orders there are, and how they end."""
    return Simulation(events, asks).explored(World())


def by_the_table(order: tuple[Event, ...], end: World) -> tuple[Release, ...]:
    """What the documentation's rules make of the jobs in the order in which they ended."""
    releases: tuple[Release, ...] = (FIRST, BEFORE)
    saw = dict(end.saw)
    for event in order:
        if event is ROLLBACK:
            releases = releases[:-1] if releases[-2] == saw[event] else releases
        elif event.commit >= releases[-1][1]:
            releases = (*releases, (event.name, event.commit))
    return releases


def rows(asks: Mapping[str, Asked]) -> Iterator[tuple[str, str, str, str]]:
    """Each two that meet: who is first in line, who is second, what is live at the end, and what became of the second."""
    for first, second in itertools.permutations(EVENTS, 2):
        _, ends = explored(asks, (first, second))
        met = [end for end in ends if [event for event, _ in end.ended] == [first, second]]
        for saw in sorted({dict(end.saw)[second] for end in met}) if second is ROLLBACK else [None]:
            name = f"{second.name} approved to go back to {saw[0]}" if saw else second.name
            [(live, became)] = {(end.live[0], dict(end.ended)[second]) for end in met if saw in (None, dict(end.saw)[second])}
            yield first.name, name, live, became


def table() -> str:
    asks = settings()
    number, ends = explored(asks)
    lines = ["| first in line | second | live at the end | the second |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows(asks)]
    wrong = sorted(set().union(*(end.wrong for end in ends)))
    said = (
        f"There are {number:,} orders in which the steps of two pushes, a retrain and a rollback can follow each other. In none of them is "
    )
    said += "a job cancelled by another, does an older commit displace a newer one, or does a rollback go where its approver did not look."
    assert not wrong, wrong
    return "\n".join([*lines, "", said]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
