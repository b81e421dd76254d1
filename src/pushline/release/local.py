"""The local target: releases as supervised processes on this machine's loopback.

The live release is a supervisor on a stable port. Promotion and rollback start another one, with the code and settings of now,
on the very socket the live one listens on; once it is ready the old one finishes what it has and ends, so no request is lost.
The candidate is a supervisor on a free port.
"""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

import msgspec

from pushline.errors import TargetError
from pushline.files import read_json, write_json
from pushline.locks import holder_of
from pushline.progress import Progress, silent
from pushline.project import Project
from pushline.release import journal
from pushline.release.folders import ReleaseFolders
from pushline.release.process import ANSWER_S, Supervisors
from pushline.release.state import LocalRecord, LocalSlot, LocalState
from pushline.release.target import (
    Ability,
    Endpoint,
    LogEntry,
    OnLive,
    Status,
    TrafficSplit,
    candidate_gone,
    nothing_before,
    nothing_to_start,
)
from pushline.release.traffic import RequestCounts, counts_of
from pushline.results import Release
from pushline.serving.client import Client
from pushline.serving.control import Order, Question
from pushline.serving.keys import EndpointKeys, read_or_make, rotate
from pushline.settings import PushlineSettings, Serving

LIVE, CANDIDATE = "live", "candidate"
LEFT = "A command was cut off; the next one that changes the target ends what it started, or had not yet ended."
CUT_OFF = "A command had been cut off; what it had started, or had not yet ended, was ended."


class LocalTarget:
    """Releases under `.pushline/`, served on loopback."""

    name = "local"
    can: frozenset[Ability] = frozenset(("split", "mirror", "switch without a gap"))

    def __init__(self, project: Project, settings: PushlineSettings, *, tied_to: int | None = None) -> None:
        self.settings = settings.serving
        self.tied_to = tied_to
        self.keys_file = project.state / "keys.json"
        self.going_back = project.state / "rollback.json"
        self.folders = ReleaseFolders(project.state / "releases")
        self.record = LocalRecord(project.state, self.folders.here)
        self.supervisors = Supervisors(project, settings.serving, self.keys_file)

    # Keys

    def keys(self) -> EndpointKeys:
        with self.record.held(silent):
            return read_or_make(self.keys_file)

    def rotate_keys(self, progress: Progress) -> EndpointKeys:
        with self.record.held(progress):
            return rotate(self.keys_file)

    def keys_place(self) -> str:
        return str(self.keys_file)

    # The way up

    def deploy_candidate(self, release: Release, progress: Progress) -> Endpoint:
        with self.record.held(progress):
            state, _ = self._current()
            read_or_make(self.keys_file)
            if state.candidate is not None:
                progress(f"Discarding the candidate {state.candidate.release.id} that was there.")
                state = self._without_candidate(state)
            copy = self.folders.keep(release, self.settings)
            self.supervisors.files(CANDIDATE)[0].unlink(missing_ok=True)
            try:
                slot = self._started(state, copy, CANDIDATE, self.settings, tied_to=self.tied_to)
            except BaseException:
                self.folders.prune(state.releases)
                raise
            self.record.write(msgspec.structs.replace(state, candidate=slot))
            return Endpoint(release=copy, url=slot.url)

    def split(self, candidate: Endpoint, progress: Progress) -> AbstractContextManager[TrafficSplit]:
        state = self.record.read()
        if state.candidate is None or state.candidate.running is None or state.candidate.release.id != candidate.release.id:
            raise candidate_gone(candidate, None)
        if state.live is None:
            raise nothing_to_start(self.name)
        return split_of(state.live, state.candidate, self.keys().primary)

    def promote(self, candidate: Endpoint, progress: Progress) -> Endpoint:
        with self.record.held(progress):
            state, _ = self._current()
            slot = state.candidate
            if slot is None or (slot.release.id, slot.url) != (candidate.release.id, candidate.url):
                raise candidate_gone(candidate, Endpoint(release=slot.release, url=slot.url) if slot else None)
            self.going_back.unlink(missing_ok=True)
            before = state.live.release if state.live else None
            history = state.history if before is None or before.id == slot.release.id else (*state.history, before)
            settings = self.folders.settings_of(slot.release, self.settings, candidate=True)
            live, state = self._go_live(state, slot.release, settings, history, progress)
            self._without_candidate(state)
            return live

    # The way back

    def roll_back(self, progress: Progress, known: OnLive | None = None) -> Endpoint:
        with self.record.held(progress):
            state, _ = self._current()
            live = state.live and self._endpoint(state.live, [])
            cut_off = (read_json(self.going_back, dict[str, str]) or {}).get("to", "")  # the release to which a rollback was
            if live and cut_off == live.release.id:
                progress(f"A rollback to {live.release.id} was cut off behind its switch; it is completed.")
            else:
                if not state.history:
                    raise nothing_before(live=state.live is not None)
                read_or_make(self.keys_file)  # they stay on the machine that made them: another one gets its own
                write_json(self.going_back, {"to": state.history[-1].id})
                live = self._go_back(state, progress)
            if known is not None:
                known(live.release)
            self.going_back.unlink(missing_ok=True)
            return live

    def withdraw(self, progress: Progress) -> Endpoint | None:
        with self.record.held(progress):
            state, _ = self._current()
            if state.history:
                return self._go_back(state, progress)
            if state.live is not None and state.live.process is not None:
                state.live.process.end()
            self._remember(msgspec.structs.replace(state, live=None))
            return None

    def discard(self, progress: Progress) -> bool:
        with self.record.held(progress):
            state, notes = self._current()
            self._without_candidate(state)
            return state.candidate is not None or CUT_OFF in notes

    def start(self, progress: Progress) -> Endpoint:
        with self.record.held(progress):
            state, _ = self._current()
            if state.live is None:
                raise nothing_to_start(self.name)
            running = self._endpoint(state.live, [])
            if running is not None and running.ready:
                progress(f"{running.release.id} answers already.")
                return running
            read_or_make(self.keys_file)
            settings = self.folders.settings_of(state.live.release, self.settings)
            return self._go_live(state, state.live.release, settings, state.history, progress)[0]

    def stop(self, progress: Progress) -> bool:
        with self.record.held(progress):
            state, notes = self._current()
            was = state.candidate is not None or CUT_OFF in notes
            state = self._without_candidate(state)
            if state.live is not None and state.live.process is not None:
                was = state.live.process.end() or was
                self.record.write(msgspec.structs.replace(state, live=msgspec.structs.replace(state.live, process=None)))
            return was

    # Looking

    def status(self) -> Status:
        """The slots as they are. What a killed command left is told and stays for the next one that acts."""
        state = self.record.read()
        notes: list[str] = []
        live = self._endpoint(state.live, notes) if state.live else None
        candidate = state.candidate
        if candidate is not None and candidate.running is None:
            notes.append(f"The candidate {candidate.release.id} has ended.")
            candidate = None
        if not holder_of(self.record.lock) and (
            state.coming is not None or any(stray.pid for stray in self.supervisors.strays(known(state)))
        ):
            notes.append(LEFT)
        return Status(
            target=self.name,
            live=live,
            candidate=self._endpoint(candidate, notes) if candidate else None,
            previous=state.history[-1] if state.history else None,
            notes=tuple(notes),
        )

    def logs(self, *, since: float | None, errors: bool, follow: bool) -> Iterator[LogEntry]:
        return journal.entries(self.supervisors.files(LIVE)[0], since=since, errors=errors, follow=follow)

    # How

    def _current(self) -> tuple[LocalState, list[str]]:
        """The state as it really is, written back where the record was stale; and what was stale. The lock is held.

        What runs and is in no slot, a killed command left behind: it is ended. Raises TargetError where the record can't be
        understood: then nobody knows what may be ended.
        """
        state, notes = self.record.read(), []
        found = msgspec.structs.replace(state, coming=None)
        if (state.coming is not None and state.coming.end(do="retire")) or self.supervisors.sweep(known(found)):
            notes.append(CUT_OFF)
        if state.candidate is not None and state.candidate.running is None:
            notes.append(f"The candidate {state.candidate.release.id} had ended; its record was cleared.")
            found = msgspec.structs.replace(found, candidate=None)
        if found != state:
            self.record.write(found)
        return found, notes

    def _endpoint(self, slot: LocalSlot, notes: list[str]) -> Endpoint | None:
        if slot.process is None:
            notes.append(f"The release {slot.release.id} was stopped.")
            return None
        if slot.running is None:
            notes.append(f"The release {slot.release.id} was live at {slot.url}; its process has ended, as after a restart of the machine.")
            return None
        answer = slot.process.ask("status")
        if not answer:
            notes.append(f"The supervisor of {slot.release.id} (process {slot.process.pid}) runs but does not answer.")
        return Endpoint(release=slot.release, url=slot.url, ready=bool(answer and answer.get("ready")))

    def _without_candidate(self, state: LocalState) -> LocalState:
        slot = state.candidate
        state = msgspec.structs.replace(state, candidate=None)
        if slot is not None and slot.process is not None:
            slot.process.end()
        if slot is not None:
            self.folders.discarded(slot.release)
        self._remember(state)
        return state

    def _go_back(self, state: LocalState, progress: Progress) -> Endpoint:
        release = state.history[-1]
        return self._go_live(state, release, self.folders.settings_of(release, self.settings), state.history[:-1], progress)[0]

    def _go_live(
        self, state: LocalState, release: Release, settings: Serving, history: tuple[Release, ...], progress: Progress
    ) -> tuple[Endpoint, LocalState]:
        """Serve `release` on the live address, beside the live one until it is ready. A failure leaves that one alone."""
        self.folders.verify(release)
        before = state.live.running if state.live else None
        if before is not None and state.live is not None and state.live.url != self.supervisors.url(self.settings.port):
            progress(f"The live release stays at {state.live.url}; `pushline stop` first would move it to port {self.settings.port}.")
        port = self.supervisors.free_port(progress) if before is None else 0

        live = self._started(state, release, LIVE, settings, port=port, take_over=before)
        after = msgspec.structs.replace(state, live=live, history=history)
        try:
            self.record.write(after)
        except BaseException:
            if live.process is not None:
                live.process.end(do="retire")
            raise
        if before is not None:
            progress(f"{release.id} answers at {live.url}; the release before finishes what it has.")
            before.retire()
        self.folders.promoted(release, settings)
        self.folders.prune(self.record.read().releases)
        return Endpoint(release=release, url=live.url), after

    def _started(self, state: LocalState, release: Release, slot: str, settings: Serving, **how: Any) -> LocalSlot:
        """A supervisor of the release, once it is ready; until then it is written down as coming, and a failure ends it."""
        started = self.supervisors.spawn(release, slot, settings, **how)
        try:
            self.record.write(msgspec.structs.replace(state, coming=started))
            url = self.supervisors.wait_ready(started, release, slot)
        except BaseException:
            started.end(do="retire", drain_s=1.0)
            self.record.write(state)
            raise
        return LocalSlot(release=release, url=url, process=started)

    def _remember(self, state: LocalState) -> None:
        """Write the state, and keep no release it does not name."""
        self.record.write(state)
        self.folders.prune(self.record.read().releases)


def known(state: LocalState) -> set[str]:
    """The control sockets that the state names."""
    return {slot.process.control for slot in (state.live, state.candidate) if slot and slot.process}


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
