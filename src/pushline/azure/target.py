"""The aci target: candidate and live as container groups beside each other, keys in Key Vault.

A promotion puts the verified definition on the live group. A container group restarts as a whole when it is put, so the
live name does not answer meanwhile: docs/azure.md says for how long.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property, partial
from pathlib import Path
from typing import TypeGuard

import msgspec

from pushline.azure import logs
from pushline.azure.cloud import STORAGE_VERSION, name_of
from pushline.azure.definition import SCORING, SHARE, TAG, Definition, Secrets, label_fault, serving_variables
from pushline.azure.endpoint import AzureEndpoint
from pushline.azure.groups import Groups
from pushline.azure.state import AciRecord, AciSlot, AciState, Command, PlannedChange, as_it_is
from pushline.errors import TargetError
from pushline.progress import Progress
from pushline.release.folders import check_whole
from pushline.release.target import (
    Ability,
    Endpoint,
    LogEntry,
    OnLive,
    Status,
    TrafficSplit,
    candidate_gone,
    no_split,
    nothing_before,
    nothing_to_start,
)
from pushline.results import Release
from pushline.serving.client import Client
from pushline.serving.keys import EndpointKeys, new_key
from pushline.settings import seconds

CANDIDATE = "-candidate"
LINES = logs.LogTable(table="ContainerInstanceLog_CL", owner="ContainerGroup_s", text="Message")
BESIDE = "-c"  # in its DNS label: a certificate's common name ends at 64 characters, and Azure adds some forty


class AciTarget(AzureEndpoint):
    """Releases on Azure Container Instances."""

    name = "aci"
    can: frozenset[Ability] = frozenset()  # a container group that is put restarts as a whole

    def label_fault(self) -> str:
        fault = label_fault(self.label + CANDIDATE)
        return f"A DNS label is {fault}, also with {CANDIDATE} behind it." if fault else ""

    @cached_property
    def groups(self) -> Groups:
        return Groups(self.cloud, seconds(self.azure.start_within))

    @cached_property
    def record(self) -> AciRecord:
        return AciRecord(self.cloud, self.label)

    # Keys

    def rotate_keys(self, progress: Progress) -> EndpointKeys:
        """A fresh primary key. What runs is put again with it, and does not answer meanwhile: the time is told.

        The groups take the new pair before Key Vault does, so at every moment they accept the primary that Key Vault names. Where a
        group does not take that one, an earlier rotation ended half way: it is completed, and no further key is made.
        """
        state, keys = self._state(), self.vault.read_or_make()
        running = [slot for slot in (state.candidate, state.live) if slot is not None and self._runs(slot)]
        behind = [slot for slot in running if Client(slot.url).score([{}], keys.primary).status == 401]
        self.record.write(self.record.was)  # of two commands at once, one is refused
        if behind:
            progress("An earlier rotation ended half way; it is completed now.")
            fresh, put = keys, behind
        else:
            fresh, put = EndpointKeys(primary=new_key(), secondary=keys.primary), running
        for slot in put:
            started = time.monotonic()
            self.groups.put(slot.definition, self.secrets(slot.definition, fresh), progress)
            progress(f"{slot.definition.name} took {time.monotonic() - started:.0f} s to come back with its new keys.")
        self.record.write(self.record.was)
        return fresh if behind else self.vault.write(fresh)

    def _runs(self, slot: AciSlot) -> bool:
        standing = self.groups.find(slot.definition.name)
        return standing is not None and (standing.instance_view is None or standing.instance_view.state != "Stopped")

    # The way up

    def deploy_candidate(self, release: Release, progress: Progress) -> Endpoint:
        """Start the release in the candidate's group; one that does not come up is removed again."""
        check_whole(Path(release.model))
        state = self._state()
        definition = self.definition_of(release, state.sites.get(self.mark_of(self.label + BESIDE), ""), progress)
        standing = self.groups.find(definition.name)
        tags = (standing.tags or {}) if standing is not None else {}
        known = state.candidate is not None and state.candidate.definition.hash == definition.hash
        if known and state.candidate is not None and tags == definition.tags and not self.groups.fault_of(definition.name):
            progress(f"{definition.name} already runs {release.id}.")
            return Endpoint(release=release, url=state.candidate.url)
        try:
            slot = self._put(definition, progress)
        except BaseException:
            self._removed(definition.name, progress)
            raise
        self.record.write(msgspec.structs.replace(state, candidate=slot, sites=self._sites(state, slot)))
        return Endpoint(release=release, url=slot.url)

    def definition_of(self, release: Release, site: str, progress: Progress) -> Definition:
        """The candidate's group for a release: its image and all around it made ready."""
        return Definition(
            name=self.label + CANDIDATE,
            label=self.label + BESIDE,
            scope=self.azure.label_scope,
            site=site,
            region=self.cloud.facts.region,
            image=self.image_of(release, progress),
            sidecar=self.registry.copied(self.azure.sidecar, progress),
            identity=self.cloud.pull_identity,
            cpu=self.azure.cpu,
            memory_gb=self.azure.memory_gb,
            workers=self.settings.serving.workers,
            serving=serving_variables(self.settings.serving),
            tls=self.azure.tls,
            telemetry=self.telemetry,
            storage_account=name_of(self.cloud.certificates),
            analytics=self.cloud.analytics[0] if self.cloud.facts.insights else "",
            release=msgspec.structs.replace(release, model=""),
        )

    def _removed(self, name: str, progress: Progress) -> None:
        """Remove a group after something has failed: what that was is told, not that this failed too."""
        try:
            self.groups.remove(name)
        except TargetError as error:
            progress(f"{name} could not be removed and still costs: {error.why or error.what} `pushline discard` tries again.")

    def secrets(self, definition: Definition, keys: EndpointKeys | None = None) -> Secrets:
        """What a PUT of the definition must bring again."""
        return Secrets(
            keys=keys or self.keys(),
            connection=self.connection if definition.telemetry else "",
            analytics_key=self.cloud.analytics_key() if definition.analytics else "",
            storage_key=self.cloud.certificates_key(),
        )

    def mark_of(self, label: str) -> str:
        return f"{self.azure.label_scope}/{label}"

    def _put(self, definition: Definition, progress: Progress) -> AciSlot:
        what = "making the share that keeps certificates"
        share = f"{self.cloud.certificates}/fileServices/default/shares/{SHARE}"
        self.cloud.arm.put(share, STORAGE_VERSION, {"properties": {}}, what=what)
        site = self.groups.put(definition, self.secrets(definition), progress)
        return AciSlot(definition=msgspec.structs.replace(definition, site=site), url=f"https://{site}")

    def _state(self) -> AciState:
        """What is remembered, held against what the live group says of itself where a command was cut off."""
        state = self.record.read()
        standing = self.groups.find(self.label) if state.planned is not None else None
        if standing is None or standing.ip_address is None:
            return msgspec.structs.replace(state, planned=None)
        return as_it_is(state, (standing.tags or {}).get(f"{TAG}definition", ""), str(standing.ip_address.fqdn))

    def split(self, candidate: Endpoint, progress: Progress) -> AbstractContextManager[TrafficSplit]:
        raise no_split(self.name)

    def promote(self, candidate: Endpoint, progress: Progress) -> Endpoint:
        state = self._state()
        slot = state.candidate
        if slot is None or (slot.release.id, slot.url) != (candidate.release.id, candidate.url):
            raise candidate_gone(candidate, Endpoint(release=slot.release, url=slot.url) if slot else None)
        before = state.live.definition if state.live else None
        same = before is not None and before.hash == slot.definition.hash
        history = state.history if before is None or same else (*state.history, before)
        if same and self.record.was.planned is None and self._stands(state.live):
            progress(f"{slot.release.id} is on the live name already.")
            live = state.live
        else:
            state, live = self._put_live(state, "promote", slot.definition, history, progress)
        self.groups.remove(slot.definition.name)
        self.record.write(msgspec.structs.replace(state, candidate=None))
        return Endpoint(release=candidate.release, url=live.url)

    def _sites(self, state: AciState, slot: AciSlot) -> dict[str, str]:
        return {**state.sites, f"{slot.definition.scope}/{slot.definition.label}": slot.definition.site}

    def _put_live(
        self, state: AciState, command: Command, definition: Definition, history: tuple[Definition, ...], progress: Progress
    ) -> tuple[AciState, AciSlot]:
        """The definition on the live name, `history` behind it: the state as it was written, and its live slot.

        What is to be done is written before it is done, so that whoever comes after a kill knows which of the two is live. Where the
        definition does not come up, the one before is put back.
        """
        site = state.sites.get(self.mark_of(self.label), "")
        wanted = msgspec.structs.replace(
            definition,
            name=self.label,
            label=self.label,
            scope=self.azure.label_scope,
            site=site,
            storage_account=name_of(self.cloud.certificates),  # a release of before may have had the workspace's
        )
        made_before = state.live is not None and state.live.definition.hash == wanted.hash  # such as by a command that was cut off
        before = msgspec.structs.replace(self.record.was if made_before else state, planned=None)
        planned = PlannedChange(command=command, definition=wanted, history=history)
        self.record.write(msgspec.structs.replace(before, planned=planned))
        started = time.monotonic()
        try:
            live = self._put(wanted, progress)
        except BaseException:
            self._put_back(wanted, before.live, progress)
            self.record.write(before)
            raise
        progress(f"{live.url} answers as {live.release.id} after {time.monotonic() - started:.0f} s.")
        made = msgspec.structs.replace(state, live=live, history=history, sites=self._sites(state, live), stopped=False)
        made = msgspec.structs.replace(made, planned=planned if command == "rollback" else None)  # until the registry knows, too
        self.record.write(made)
        return made, live

    def _put_back(self, wanted: Definition, back: AciSlot | None, progress: Progress) -> None:
        if back is None:
            self._removed(wanted.name, progress)
        else:
            progress(f"Putting {back.release.id} back on the live name.")
            self._put(back.definition, progress)

    # The way back

    def roll_back(self, progress: Progress, known: OnLive | None = None) -> Endpoint:
        state = self._state()
        was, planned = self.record.was, state.planned
        if (
            planned is not None
            and was.live is not None
            and was.live.definition.hash == planned.definition.hash
            and self._stands(state.live)
        ):
            progress(f"A rollback to {planned.definition.release.id} was cut off behind its switch; it is completed.")
            live = state.live
        elif planned is not None:
            state, live = self._put_live(state, "rollback", planned.definition, planned.history, progress)
        elif state.history:
            state, live = self._put_live(state, "rollback", state.history[-1], state.history[:-1], progress)
        else:
            raise nothing_before(live=state.live is not None)
        if known is not None:
            known(live.release)
        self.record.write(msgspec.structs.replace(state, planned=None))
        return Endpoint(release=live.release, url=live.url)

    def withdraw(self, progress: Progress) -> Endpoint | None:
        state = self._state()
        if state.history:
            state, live = self._put_live(state, "rollback", state.history[-1], state.history[:-1], progress)
            self.record.write(msgspec.structs.replace(state, planned=None))
            return Endpoint(release=live.release, url=live.url)
        if state.live is not None:
            self.groups.remove(state.live.definition.name)
        self.record.write(msgspec.structs.replace(state, live=None))
        return None

    def start(self, progress: Progress) -> Endpoint:
        """The live release with the settings of today, such as telemetry on or off; its image stays."""
        state = self._state()
        if state.live is None:
            raise nothing_to_start(self.name)
        definition = msgspec.structs.replace(
            state.live.definition,
            cpu=self.azure.cpu,
            memory_gb=self.azure.memory_gb,
            workers=self.settings.serving.workers,
            serving=serving_variables(self.settings.serving),
            tls=self.azure.tls,
            telemetry=self.telemetry,
        )
        _, live = self._put_live(state, "start", definition, state.history, progress)
        return Endpoint(release=live.release, url=live.url)

    def discard(self, progress: Progress) -> bool:
        state = self._state()
        was = self.groups.remove(self.label + CANDIDATE)
        if state.candidate is not None:
            self.record.write(msgspec.structs.replace(state, candidate=None))
        return was

    def stop(self, progress: Progress) -> bool:
        """Stop the live group and remove the candidate. A stopped group costs nothing; the next promotion makes it anew."""
        was = self.discard(progress)
        was = self.groups.stop(self.label) or was
        self.record.write(msgspec.structs.replace(self._state(), stopped=True))
        return was

    # Looking

    def status(self) -> Status:
        state, notes = self._state(), []
        planned = self.record.was.planned
        made = planned is not None and state.live is not None and state.live.definition.hash == planned.definition.hash
        if planned is not None:
            notes.append(f"A {planned.command} to {planned.definition.release.id} was cut off; the same command again ends it.")
        live = self._endpoint(state.live, notes, stopped=state.stopped)
        candidate = self._endpoint(state.candidate, notes)
        if state.candidate is None and self.groups.find(self.label + CANDIDATE) is not None:
            notes.append(f"{self.label + CANDIDATE} stands although no candidate is remembered; `pushline discard` removes it.")
        return Status(
            target=self.name,
            live=live,
            candidate=candidate,
            previous=state.history[-1].release if state.history else None,
            notes=tuple(notes),
            unfinished=planned.command if planned is not None and made else "",
        )

    def _endpoint(self, slot: AciSlot | None, notes: list[str], *, stopped: bool = False) -> Endpoint | None:
        """What a slot is found as. One that should answer and can't is not ready; only what we stopped ourselves is none."""
        if slot is None:
            return None
        name = slot.definition.name
        standing = self.groups.find(name)
        if standing is None:
            notes.append(f"{name} is remembered as {slot.release.id}, but there is no such container group any more.")
            return Endpoint(release=slot.release, url=slot.url, ready=False)
        runs = standing.instance_view.state if standing.instance_view else "unknown"
        if runs == "Stopped":
            notes.append(f"The release {slot.release.id} was stopped{'' if stopped else ', and not by `pushline stop`'}.")
            return None if stopped else Endpoint(release=slot.release, url=slot.url, ready=False)
        fault = self.groups.fault_of(name)
        if fault:
            notes.append(f"{name}: {fault}.")
        if (standing.tags or {}) != slot.definition.tags:
            notes.append(f"{name} is not as it was put: someone else has changed it.")
        return Endpoint(release=slot.release, url=slot.url, ready=runs == "Running" and not fault)

    def _stands(self, slot: AciSlot | None) -> TypeGuard[AciSlot]:
        """Whether a slot's group is there as it was put, and runs."""
        notes: list[str] = []
        endpoint = self._endpoint(slot, notes)
        return endpoint is not None and endpoint.ready and not notes

    def logs(self, *, since: float | None, errors: bool, follow: bool) -> Iterator[LogEntry]:
        now = partial(self.groups.log, self.label, SCORING, logs.TAIL)
        return logs.entries(self.cloud, LINES, self.label, now, since=since, errors=errors, follow=follow)
