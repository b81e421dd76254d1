"""The local target: releases as supervised processes on this machine's loopback.

The live release is one supervisor on a stable port. Promotion and rollback tell it to switch: it starts new workers on the
socket it listens on, and lets the old ones finish, so no request is lost. The candidate is a second supervisor on a free port.
"""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pushline.errors import ModelUnreadable, TargetError
from pushline.project import Project
from pushline.release import journal, process
from pushline.release import keys as keyring
from pushline.release.folders import ReleaseFolders
from pushline.release.state import Process, Record, Slot, State
from pushline.release.target import Endpoint, Keys, LogEntry, Status, Tell, silent
from pushline.results import Release
from pushline.settings import PushlineSettings

READY_S = 60.0  # a large model on a busy machine
PORTS_TRIED = 20
LIVE, CANDIDATE = "live", "candidate"


class LocalTarget:
    """Releases under `.pushline/`, served on loopback."""

    name = "local"

    def __init__(self, project: Project, settings: PushlineSettings, *, tied_to: int | None = None) -> None:
        self.project = project
        self.settings = settings.serving
        self.tied_to = tied_to
        self.folders = ReleaseFolders(project.state / "releases")
        self.record = Record(project.state, self.folders.here)
        self.keys_file = project.state / "keys.json"
        self.logs_folder = project.state / "logs"

    # Keys

    def keys(self) -> Keys:
        with self.record.held(silent):
            return keyring.read_or_make(self.keys_file)

    def rotate_keys(self, tell: Tell) -> Keys:
        with self.record.held(tell):
            return keyring.rotate(self.keys_file)

    def keys_place(self) -> str:
        return str(self.keys_file)

    # The way up

    def deploy_candidate(self, release: Release, tell: Tell) -> Endpoint:
        with self.record.held(tell):
            state, _ = self._current()
            keyring.read_or_make(self.keys_file)
            if state.candidate is not None:
                tell(f"Discarding the candidate {state.candidate.release.id} that was there.")
                state = self._without_candidate(state)
            self._sweep(state)
            copy = self.folders.keep(release)
            try:
                slot = self._start(copy, CANDIDATE, port=0, state=state, tell=tell)
            except BaseException:
                self.folders.prune(state.releases)
                raise
            return Endpoint(release=copy, url=slot.url)

    def promote(self, candidate: Endpoint, tell: Tell) -> Endpoint:
        with self.record.held(tell):
            state, _ = self._current()
            slot = state.candidate
            if slot is None or (slot.release.id, slot.url) != (candidate.release.id, candidate.url):
                raise TargetError(
                    f"The candidate {candidate.release.id} is not there any more.",
                    why=f"The candidate is {slot.release.id} at {slot.url}."
                    if slot
                    else "No candidate runs; it was promoted, discarded or died.",
                    do="Deploy it again with `pushline deploy`, then `pushline smoke` and `pushline load-test`.",
                )
            before = state.live.release if state.live else None
            live = self._put_live(state, slot.release, tell)
            history = state.history if before is None or before.id == live.release.id else (*state.history, before)
            self.record.write(State(live=live, history=history))
            if slot.process is not None:
                process.end(slot.process)
            self.folders.prune(self.record.read().releases)
            return Endpoint(release=live.release, url=live.url)

    # The way back

    def roll_back(self, tell: Tell) -> Endpoint:
        with self.record.held(tell):
            state, _ = self._current()
            if not state.history:
                raise TargetError(
                    "There is no previous release to roll back to.",
                    why="No release was promoted before the live one." if state.live else "No release was ever promoted here.",
                    do="`pushline deploy --version N` takes any accepted version back through smoke and load-test.",
                )
            return self._return_to(state, state.history[-1], tell)

    def withdraw(self, tell: Tell) -> Endpoint | None:
        with self.record.held(tell):
            state, _ = self._current()
            if state.history:
                return self._return_to(state, state.history[-1], tell)
            if state.live is not None and state.live.process is not None:
                process.end(state.live.process)
            state = msgspec.structs.replace(state, live=None)
            self.record.write(state)
            self.folders.prune(state.releases)
            return None

    def discard(self, tell: Tell) -> bool:
        with self.record.held(tell):
            state, _ = self._current()
            was = state.candidate is not None
            state = self._without_candidate(state) if was else state
            swept = self._sweep(state)
            self.folders.prune(state.releases)
            return was or swept

    def stop(self, tell: Tell) -> bool:
        with self.record.held(tell):
            state, _ = self._current()
            was = state.candidate is not None
            state = self._without_candidate(state) if was else state
            if state.live is not None and state.live.process is not None:
                was = process.end(state.live.process) or was
                self.record.write(msgspec.structs.replace(state, live=msgspec.structs.replace(state.live, process=None)))
            return self._sweep(State()) or was

    # Looking

    def status(self) -> Status:
        notes: list[str] = []
        state = self.record.read()
        with self.record.held_if_free() as held:
            if held:
                state, notes = self._current()
        live, candidate = (slot and self._endpoint(slot, notes) for slot in (state.live, state.candidate))
        return Status(
            target=self.name,
            live=live or None,
            candidate=candidate or None,
            previous=state.history[-1] if state.history else None,
            notes=tuple(dict.fromkeys(notes)),
        )

    def logs(self, *, since: float | None, errors: bool, follow: bool) -> Iterator[LogEntry]:
        return journal.entries(self.logs_folder / f"{LIVE}.jsonl", since=since, errors=errors, follow=follow)

    # How

    def _current(self) -> tuple[State, list[str]]:
        """The state as it really is, written back where the record was stale; and what was stale. The lock is held."""
        state, notes = self.record.read(), []
        found = state
        if state.candidate is not None and not (state.candidate.process and process.alive(state.candidate.process)):
            notes.append(f"The candidate {state.candidate.release.id} had ended; its record was cleared.")
            found = msgspec.structs.replace(found, candidate=None)
        if state.live is not None and state.live.process is not None:
            answer = answer_of(state.live.process)
            serves = str(answer.get("release", "")) if answer else ""
            kept = self.folders.kept(serves) if serves and serves != state.live.release.id else None
            if kept is not None:  # a command was killed between the switch and its record
                back = bool(state.history) and state.history[-1].id == serves
                history = state.history[:-1] if back else (*state.history, state.live.release)
                found = msgspec.structs.replace(
                    found, live=msgspec.structs.replace(state.live, release=self.folders.here(kept.release)), history=history
                )
        if found != state:
            self.record.write(found)
        return found, notes

    def _endpoint(self, slot: Slot, notes: list[str]) -> Endpoint | None:
        if slot.process is None:
            notes.append(f"The release {slot.release.id} was stopped.")
            return None
        if not process.alive(slot.process):
            notes.append(f"The release {slot.release.id} was live at {slot.url}; its process has ended, as after a restart of the machine.")
            return None
        answer = answer_of(slot.process)
        if answer is None:
            notes.append(f"The supervisor of {slot.release.id} (process {slot.process.pid}) runs but does not answer.")
        return Endpoint(release=slot.release, url=slot.url, ready=bool(answer and answer.get("ready")))

    def _without_candidate(self, state: State) -> State:
        slot = state.candidate
        state = msgspec.structs.replace(state, candidate=None)
        if slot is not None and slot.process is not None:
            process.end(slot.process)
        self.record.write(state)
        return state

    def _sweep(self, state: State) -> bool:
        """End supervisors that nothing remembers: a command was killed before it could. True where one ran."""
        known = {slot.process.control for slot in (state.live, state.candidate) if slot and slot.process}
        swept = False
        for control in sorted(process.control_folder(self.project.state).glob("*.sock")):
            if str(control) in known:
                continue
            answer = None
            try:
                answer = process.ask(str(control), {"do": "status"})
            except process.Silent:
                continue
            if answer and isinstance(answer.get("pid"), int):
                pid = int(answer["pid"])
                swept = process.end(Process(pid=pid, started=process.started(pid), control=str(control))) or swept
            control.unlink(missing_ok=True)
        return swept

    def _return_to(self, state: State, release: Release, tell: Tell) -> Endpoint:
        live = self._put_live(state, release, tell)
        state = msgspec.structs.replace(state, live=live, history=state.history[:-1])
        self.record.write(state)
        self.folders.prune(state.releases)
        return Endpoint(release=live.release, url=live.url)

    def _put_live(self, state: State, release: Release, tell: Tell) -> Slot:
        """Serve `release` on the live address: by a switch where one is live, else by a new supervisor."""
        self.folders.verify(release)
        slot = state.live
        if slot is None or slot.process is None or not process.alive(slot.process):
            return self._start(release, LIVE, port=self._free_port(tell), state=state, tell=tell)
        if slot.url != self._url(self.settings.port):
            tell(f"The live release stays at {slot.url}; `pushline stop` first would move it to port {self.settings.port}.")
        tell(f"Switching {slot.url} to {release.id}.")
        try:
            answer = process.ask(
                slot.process.control,
                {"do": "switch", "model": release.model, "release": release.id, "version": release.model_version},
                timeout_s=process.SWITCH_S,
            )
        except process.Silent:
            answer = {"error": f"the supervisor did not answer within {process.SWITCH_S:g} s"}
        if answer is None or not answer.get("ok"):
            raise TargetError(
                f"The live release did not switch to {release.id}.",
                why=f"The supervisor says: {(answer or {}).get('error', 'nothing')}.",
                do="The release before is still live. `pushline logs --errors` tells more.",
            )
        return msgspec.structs.replace(slot, release=release)

    def _start(self, release: Release, slot_name: str, *, port: int, state: State, tell: Tell) -> Slot:
        """A new supervisor in a slot, recorded before it is waited for, so that no kill can lose it."""
        control = process.new_control(process.control_folder(self.project.state))
        log, errors = (self.logs_folder / f"{slot_name}.{ending}" for ending in ("jsonl", "err"))
        if slot_name == CANDIDATE:
            log.unlink(missing_ok=True)
        arguments = [
            "--project",
            str(self.project.root),
            "serve",
            "--model",
            release.model,
            "--release",
            release.id,
            "--model-version",
            release.model_version,
        ]
        arguments += ["--host", self.settings.host, "--port", str(port), "--workers", str(self.settings.workers)]
        arguments += ["--keys", str(self.keys_file), "--log", str(log), "--control", str(control)]
        if slot_name == CANDIDATE and self.tied_to is not None:
            arguments += ["--tied-to", str(self.tied_to)]
        started = process.spawn(arguments, control, errors)
        slot = Slot(release=release, url=self._url(port), process=started)
        try:
            if slot_name == CANDIDATE:
                self.record.write(msgspec.structs.replace(state, candidate=slot))
            answer = wait_ready(started, release, log, errors)
            slot = msgspec.structs.replace(slot, url=self._url(int(answer["port"])))
            if slot_name == CANDIDATE:
                self.record.write(msgspec.structs.replace(state, candidate=slot))
        except BaseException:
            process.end(started, drain_s=1.0)
            if slot_name == CANDIDATE:
                self.record.write(state)
            raise
        return slot

    def _url(self, port: int) -> str:
        host = self.settings.host
        host = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104 - what to connect to where all addresses are bound
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _free_port(self, tell: Tell) -> int:
        """The port of the settings, or the next free one, said."""
        wanted = self.settings.port
        for port in range(wanted, min(wanted + PORTS_TRIED, 65536)):
            if port == 0 or can_bind(self.settings.host, port):
                if port != wanted:
                    tell(f"Port {wanted} is taken by another program; the live release answers on port {port} instead.")
                return port
        raise TargetError(
            f"No free port for the live release from {wanted} to {wanted + PORTS_TRIED - 1}.",
            why="Other programs listen on all of them.",
            do="Stop one of them, or set another `port` in [tool.pushline.serving] of pyproject.toml.",
        )


def can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the supervisor does: old connections do not count
        try:
            trial.bind((host, port))
        except OSError:
            return False
    return True


def answer_of(supervisor: Process) -> dict[str, Any] | None:
    try:
        return process.ask(supervisor.control, {"do": "status"})
    except process.Silent:
        return None


def wait_ready(supervisor: Process, release: Release, log: Path, errors: Path) -> dict[str, Any]:
    """Its answer to `status` as soon as it is ready.

    Raises TargetError, with the last it said, where it ends or is not ready in time; ModelUnreadable where that was the model.
    """
    until = time.monotonic() + READY_S
    while True:
        runs = process.alive(supervisor)
        answer = answer_of(supervisor)
        if answer and answer.get("ready"):
            return answer
        if not runs or time.monotonic() > until:
            said = " | ".join([*last_lines(errors), *last_lines(log)][-4:])
            kind = ModelUnreadable if "model folder" in said else TargetError
            raise kind(
                f"The release {release.id} was not ready within {READY_S:g} s."
                if runs
                else f"The release {release.id} ended as it started.",
                why=f"It said: {said}" if said else "It said nothing.",
                do=f"{errors} and {log} hold the rest.",
            )
        time.sleep(0.03)


def last_lines(file: Path, count: int = 3) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4096))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip()][-count:]
