"""The containerapps target: each release a revision of one container app, live the one that has the weight.

A promotion and a rollback move the weight between revisions that run already: no request is lost, and neither waits for a start.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path

import msgspec

from pushline.azure import logs
from pushline.azure.containerapps.app import Change, ContainerApp
from pushline.azure.containerapps.definition import AppDefinition, cpu_fault, name_fault, same_content
from pushline.azure.containerapps.split import split
from pushline.azure.containerapps.state import REMEMBERED, AppState
from pushline.azure.definition import serving_variables
from pushline.azure.endpoint import AzureEndpoint
from pushline.errors import SettingsError, TargetError
from pushline.progress import Progress
from pushline.release.folders import check_whole
from pushline.release.target import (
    Ability,
    Endpoint,
    LogEntry,
    OnLive,
    Status,
    TrafficSplit,
    nothing_before,
    nothing_to_start,
)
from pushline.results import Release
from pushline.serving.keys import EndpointKeys, new_key
from pushline.settings import seconds

LINES = logs.LogTable(table="ContainerAppConsoleLogs", owner="ContainerAppName", text="Log")
ChangeFor = Callable[[AppState, str], AppState]  # with the suffix of the revision that is made
replace = msgspec.structs.replace


class ContainerAppsTarget(AzureEndpoint):
    """Releases on Azure Container Apps."""

    name = "containerapps"
    can: frozenset[Ability] = frozenset({"split", "switch without a gap"})

    def label_fault(self) -> str:
        return name_fault(self.label)

    @cached_property
    def app(self) -> ContainerApp:
        return ContainerApp(self.cloud, self.label, seconds(self.azure.start_within))

    # Keys

    def rotate_keys(self, progress: Progress) -> EndpointKeys:
        """A fresh primary key, without a moment at which a client is refused that has the primary one from Key Vault.

        First Key Vault gets the fresh key as the secondary one, and all that runs takes that pair: the live release as a revision of
        its own that gets the weight once it answers. Then the two change places in Key Vault, which what runs need not know. A rotation
        that was cut off has changed no primary key; the next one starts anew.
        """
        keys = self.vault.read_or_make()
        taken = self.vault.write(EndpointKeys(primary=keys.primary, secondary=new_key()))
        state = self.app.read()
        if state.there:
            self.app.give_secrets(self.vault.version, self.connection)
        if state.live and not state.stopped:
            self._renew(state.revisions[state.live].definition, progress)
        for suffix in [] if state.stopped else state.needed - {state.live}:
            if state.revisions[suffix].active:
                self.app.act("restart", suffix)
                self.app.wait(state.revisions[suffix])
        return self.vault.write(EndpointKeys(primary=taken.secondary, secondary=taken.primary))

    def _renew(self, definition: AppDefinition, progress: Progress) -> None:
        """The live release as another revision, which takes the weight once it answers."""
        suffix = self._bring_up(definition, lambda state, _: state, progress)
        self._switch(lambda state: replace(state, live=suffix), progress)
        self.app.tidy()

    # The way up

    def deploy_candidate(self, release: Release, progress: Progress) -> Endpoint:
        """Bring the release up as a revision without weight; one that does not come up is removed again."""
        check_whole(Path(release.model))
        self.keys()
        definition = self.definition_of(release, self.image_of(release, progress))
        try:
            suffix = self._bring_up(definition, lambda state, suffix: replace(state, candidate=suffix), progress)
        except BaseException:
            self._removed(definition.suffix(self.vault.version), progress)
            raise
        self.app.tidy()
        return replace(self.app.read().revisions[suffix].endpoint(), release=release)

    def definition_of(self, release: Release, image: str) -> AppDefinition:
        """A revision with the settings of today."""
        fault = cpu_fault(self.azure.cpu)
        if fault:
            raise SettingsError(f"The setting azure.cpu can't be {self.azure.cpu:g}.", why=fault, do="Correct it in [tool.pushline.azure].")
        return AppDefinition(
            image=image,
            cpu=self.azure.cpu,
            workers=self.settings.serving.workers,
            serving=serving_variables(self.settings.serving),
            telemetry=self.telemetry,
            min_replicas=self.azure.min_replicas,
            max_replicas=max(self.azure.max_replicas, self.azure.min_replicas),
            concurrent_requests=self.azure.concurrent_requests,
            release=replace(release, model=""),
        )

    def _bring_up(self, definition: AppDefinition, change: ChangeFor, progress: Progress) -> str:
        """A revision of this content that runs and answers; which one."""
        suffix = definition.suffix(self.vault.version)
        state = self.app.read()
        if state.stopped:
            self.app.act("start")
        if suffix not in state.revisions:
            progress(f"Making the revision {self.label}--{suffix} ({definition.release.id}).")
            revision = self.app.put(suffix, definition, self.vault.version, self.connection, lambda state: change(state, suffix))
        else:
            revision = state.revisions[suffix]
            self._activate(state, suffix)
            self.app.write(lambda state: change(state, suffix), what=f"noting what {self.label}--{suffix} is")
        self.app.wait(revision)
        return suffix

    def _activate(self, state: AppState, suffix: str) -> None:
        if not state.revisions[suffix].active:
            self.app.act("activate", suffix)
            self.app.wait(state.revisions[suffix])

    def _removed(self, suffix: str, progress: Progress) -> None:
        """Remove a candidate after something has failed: what that was is told, not that this failed too."""
        try:
            self._drop(suffix)
        except TargetError as error:
            progress(f"The candidate could not be removed and still costs: {error.why or error.what} `pushline discard` tries again.")

    def _drop(self, suffix: str) -> bool:
        """Let the revision be no candidate any more; the whole app goes where it has no live release."""
        state = self.app.read()
        if state.there and not state.live and state.candidate in ("", suffix):
            self.app.remove()
            return True
        was = bool(suffix) and state.candidate == suffix
        if was:
            self.app.write(lambda state: replace(state, candidate=""), what=f"discarding the candidate of {self.label}")
        return self.app.tidy() or was

    def split(self, candidate: Endpoint, progress: Progress) -> AbstractContextManager[TrafficSplit]:
        return split(self.app, candidate, self.keys().primary)

    def promote(self, candidate: Endpoint, progress: Progress) -> Endpoint:
        def promoted(state: AppState) -> AppState:
            state.checked(candidate)
            stays = not state.live or same_content(state.live, state.candidate)
            history = state.history if stays else (*state.history, state.live)
            return replace(state, live=state.candidate, candidate="", history=history[-REMEMBERED:], unfinished="")

        # What is left over goes before the switch: a command that is killed behind it is done.
        state = self.app.read()
        self.app.tidy({*promoted(state).needed, state.live})
        live = self._switch(promoted, progress)
        self.app.tidy()
        return replace(live, release=candidate.release)

    def _switch(self, change: Change, progress: Progress) -> Endpoint:
        """Give the name to another revision, in one call, and wait until it answers there."""
        state = self.app.write(change, what=f"giving {self.label} to another release")
        live = state.live_endpoint()
        self.app.wait(state.revisions[state.live], live.url)
        progress(f"{live.url} answers as {live.release.id}.")
        return live

    # The way back

    def roll_back(self, progress: Progress, known: OnLive | None = None) -> Endpoint:
        state = self.app.read()
        if state.unfinished == "rollback" and state.live:
            progress(f"A rollback to {state.revisions[state.live].release.id} was cut off behind its switch; it is completed.")
            live = state.live_endpoint()
        else:
            live = self._back(state, progress)
        if known is not None:
            known(live.release)
        return self._ended(live)

    def _ended(self, live: Endpoint) -> Endpoint:
        """The rollback to it has nothing more to do."""
        self.app.tidy()
        self.app.write(lambda state: replace(state, unfinished=""), what=f"noting that {self.label} was rolled back")
        return live

    def _back(self, state: AppState, progress: Progress) -> Endpoint:
        """The release before on the live name."""
        if not state.history:
            raise nothing_before(live=bool(state.live))
        if state.stopped:
            self.app.act("start")
        self._activate(state, state.history[-1])
        return self._switch(
            lambda state: replace(state, live=state.history[-1], history=state.history[:-1], unfinished="rollback"), progress
        )

    def withdraw(self, progress: Progress) -> Endpoint | None:
        state = self.app.read()
        if not state.history:
            if state.there:
                self.app.remove()
            return None
        return self._ended(self._back(state, progress))

    def start(self, progress: Progress) -> Endpoint:
        """The live release with the settings of today; its image stays."""
        state = self.app.read()
        if not state.live:
            raise nothing_to_start(self.name)
        self.keys()
        if state.stopped:
            self.app.act("start")
        standing = state.revisions[state.live].definition
        wanted = self.definition_of(standing.release, standing.image)
        if not same_content(wanted.suffix(""), state.live):
            self._renew(wanted, progress)
            state = self.app.read()
        self.app.wait(state.revisions[state.live], state.url)
        return state.live_endpoint()

    def discard(self, progress: Progress) -> bool:
        state = self.app.read()
        return state.there and self._drop(state.candidate)

    def stop(self, progress: Progress) -> bool:
        """Stop the app and remove the candidate. A stopped app costs nothing; it starts as a whole."""
        was = self.discard(progress)
        state = self.app.read()
        if state.there and not state.stopped:
            self.app.act("stop")
            return True
        return was

    # Looking

    def status(self) -> Status:
        state, notes = self.app.read(), []
        if state.unfinished and state.live:
            notes.append(f"A {state.unfinished} to {state.revisions[state.live].release.id} was cut off; the same command again ends it.")
        if state.live and state.weights != {state.live: 100}:
            told = ", ".join(f"{weight} % {self.label}--{suffix}" for suffix, weight in state.weights.items())
            notes.append(f"The requests go to {told}; the next command that changes the target gives all to the live release.")
        live = candidate = None
        if state.live and state.stopped:
            notes.append(f"The release {state.revisions[state.live].release.id} was stopped.")
        elif state.live:
            live = state.live_endpoint(ready=not self._fault(state, state.live, notes))
        if state.candidate:
            fault = self._fault(state, state.candidate, notes)
            candidate = state.revisions[state.candidate].endpoint(ready=not fault and not state.stopped)
        return Status(
            target=self.name,
            live=live,
            candidate=candidate,
            previous=state.revisions[state.history[-1]].release if state.history else None,
            notes=tuple(notes),
            unfinished=state.unfinished,
        )

    def _fault(self, state: AppState, suffix: str, notes: list[str] | None = None) -> str:
        """Why a revision can't answer, or nothing."""
        standing = state.revisions[suffix]
        fault = standing.fault or ("" if standing.active else "it is not active")
        if fault and notes is not None:
            notes.append(f"{self.label}--{suffix}: {fault}.")
        return fault

    def logs(self, *, since: float | None, errors: bool, follow: bool) -> Iterator[LogEntry]:
        def now() -> str:
            live = self.app.read().live
            return self.app.log(live) if live else ""

        return logs.entries(self.cloud, LINES, self.label, now, since=since, errors=errors, follow=follow)
