"""The aci target: candidate and live as container groups beside each other, keys in Key Vault.

A promotion puts the verified definition on the live group. A container group restarts as a whole when it is put, so the
live name does not answer meanwhile: docs/azure.md says for how long.
"""

import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import msgspec

from pushline.azure import logs
from pushline.azure.cloud import STORAGE_VERSION, Cloud, name_of
from pushline.azure.definition import SHARE, Definition, Secrets, label_fault, serving_variables
from pushline.azure.groups import Groups
from pushline.azure.image import scoring_image
from pushline.azure.keyvault import VaultKeys
from pushline.azure.registry import ContainerRegistry
from pushline.azure.state import Record, Slot, State
from pushline.errors import SettingsError, TargetError
from pushline.project import Project
from pushline.release.folders import check_whole
from pushline.release.target import Endpoint, Keys, Known, LogEntry, Status, Tell
from pushline.results import Release
from pushline.settings import PushlineSettings, seconds

CANDIDATE = "-candidate"


class AciTarget:
    """Releases on Azure Container Instances."""

    name = "aci"

    def __init__(self, project: Project, settings: PushlineSettings) -> None:
        self.project = project
        self.settings = settings
        self.azure = settings.azure
        self.cloud = Cloud(settings.azure)
        self.label = settings.azure.label or settings.model_name
        fault = label_fault(self.label + CANDIDATE)
        if fault:
            raise SettingsError(
                f"{self.label!r} can't be the name of an endpoint.",
                why=f"A DNS label is {fault}, also with {CANDIDATE} behind it.",
                do="Set another `label` in [tool.pushline.azure].",
            )

    @cached_property
    def groups(self) -> Groups:
        return Groups(self.cloud, seconds(self.azure.start_within))

    @cached_property
    def vault(self) -> VaultKeys:
        return VaultKeys(self.cloud, self.label)

    @cached_property
    def record(self) -> Record:
        return Record(self.cloud, self.label)

    # Keys

    def keys(self) -> Keys:
        return self.vault.read_or_make()

    def keys_place(self) -> str:
        return self.vault.place

    def rotate_keys(self, tell: Tell) -> Keys:
        """A fresh primary key. The live group must be put again with it, and does not answer meanwhile: the time is told."""
        state = self.record.read()
        keys = self.vault.rotated()
        if state.live is not None:
            started = time.monotonic()
            self.groups.put(state.live.definition, self.secrets(state.live.definition), tell)
            tell(f"The live release took {time.monotonic() - started:.0f} s to come back with its new keys.")
        return keys

    # The way up

    def deploy_candidate(self, release: Release, tell: Tell) -> Endpoint:
        """Start the release in the candidate's group; one that does not come up is removed again."""
        check_whole(Path(release.model))
        state = self.record.read()
        definition = self.definition_of(release, state.sites.get(self.mark_of(self.label + CANDIDATE), ""), tell)
        standing = self.groups.find(definition.name)
        tags = (standing.tags or {}) if standing is not None else {}
        known = state.candidate is not None and state.candidate.definition.hash == definition.hash
        if known and state.candidate is not None and tags == definition.tags and not self.groups.fault_of(definition.name):
            tell(f"{definition.name} already runs {release.id}.")
            return Endpoint(release=release, url=state.candidate.url)
        try:
            slot = self._put(definition, tell)
        except BaseException:
            self.groups.remove(definition.name)
            raise
        self.record.write(msgspec.structs.replace(state, candidate=slot, sites=self._sites(state, slot)))
        return Endpoint(release=release, url=slot.url)

    def definition_of(self, release: Release, site: str, tell: Tell) -> Definition:
        """The candidate's group for a release: its image and all around it made ready."""
        registry = ContainerRegistry(self.cloud)
        image = scoring_image(self.project, release, registry, self.azure.image_builder, tell)
        return Definition(
            name=self.label + CANDIDATE,
            label=self.label + CANDIDATE,
            scope=self.azure.label_scope,
            site=site,
            region=self.cloud.facts.region,
            image=image,
            sidecar=registry.copied(self.azure.sidecar, tell),
            identity=self.cloud.pull_identity,
            cpu=self.azure.cpu,
            memory_gb=self.azure.memory_gb,
            workers=self.settings.serving.workers,
            serving=serving_variables(self.settings.serving),
            tls=self.azure.tls,
            telemetry=self.azure.telemetry and bool(self.cloud.facts.insights),
            storage_account=name_of(self.cloud.facts.storage),
            analytics=self.cloud.analytics[0] if self.cloud.facts.insights else "",
            release=msgspec.structs.replace(release, model=""),
        )

    def secrets(self, definition: Definition) -> Secrets:
        """What a PUT of the definition must bring again."""
        return Secrets(
            keys=self.keys(),
            connection=str(self.cloud.insights["ConnectionString"]) if definition.telemetry else "",
            analytics_key=self.cloud.analytics_key() if definition.analytics else "",
            storage_key=self.cloud.storage_key(),
        )

    def mark_of(self, label: str) -> str:
        return f"{self.azure.label_scope}/{label}"

    def _put(self, definition: Definition, tell: Tell) -> Slot:
        what = "making the share that keeps certificates"
        share = f"{self.cloud.facts.storage}/fileServices/default/shares/{SHARE}"
        self.cloud.arm.put(share, STORAGE_VERSION, {"properties": {}}, what=what)
        site = self.groups.put(definition, self.secrets(definition), tell)
        return Slot(definition=msgspec.structs.replace(definition, site=site), url=f"https://{site}")

    def promote(self, candidate: Endpoint, tell: Tell) -> Endpoint:
        state = self.record.read()
        slot = state.candidate
        if slot is None or (slot.release.id, slot.url) != (candidate.release.id, candidate.url):
            raise TargetError(
                f"The candidate {candidate.release.id} is not there any more.",
                why=f"The candidate is {slot.release.id} at {slot.url}." if slot else "It was promoted or discarded.",
                do="Deploy it again with `pushline deploy`, then `pushline smoke` and `pushline load-test`.",
            )
        before = state.live.definition if state.live else None
        live = self._put_live(state, slot.definition, tell)
        history = state.history if before is None or before.hash == slot.definition.hash else (*state.history, before)
        self.record.write(State(live=live, history=history, sites=self._sites(state, live)))
        self.groups.remove(slot.definition.name)
        return Endpoint(release=candidate.release, url=live.url)

    def _sites(self, state: State, slot: Slot) -> dict[str, str]:
        return {**state.sites, f"{slot.definition.scope}/{slot.definition.label}": slot.definition.site}

    def _put_live(self, state: State, definition: Definition, tell: Tell) -> Slot:
        """The definition on the live name; where it does not come up there, the one before is put back."""
        site = state.sites.get(self.mark_of(self.label), "")
        wanted = msgspec.structs.replace(definition, name=self.label, label=self.label, scope=self.azure.label_scope, site=site)
        started = time.monotonic()
        try:
            slot = self._put(wanted, tell)
        except BaseException:
            if state.live is None:
                self.groups.remove(wanted.name)
            else:
                tell(f"Putting {state.live.release.id} back on the live name.")
                self._put(state.live.definition, tell)
            raise
        tell(f"{slot.url} answers as {slot.release.id} after {time.monotonic() - started:.0f} s.")
        return slot

    # The way back

    def roll_back(self, tell: Tell, known: Known | None = None) -> Endpoint:
        state = self.record.read()
        if not state.history:
            raise TargetError(
                "There is no previous release to roll back to.",
                why="No release was promoted before the live one." if state.live else "No release was ever promoted here.",
                do="`pushline deploy --version N` takes any accepted version back through smoke and load-test.",
            )
        live = self._return_to(state, tell)
        if known is not None:
            known(live.release)
        return live

    def withdraw(self, tell: Tell) -> Endpoint | None:
        state = self.record.read()
        if state.history:
            return self._return_to(state, tell)
        if state.live is not None:
            self.groups.remove(state.live.definition.name)
        self.record.write(msgspec.structs.replace(state, live=None))
        return None

    def _return_to(self, state: State, tell: Tell) -> Endpoint:
        live = self._put_live(state, state.history[-1], tell)
        self.record.write(msgspec.structs.replace(state, live=live, history=state.history[:-1]))
        return Endpoint(release=live.release, url=live.url)

    def put_again(self, tell: Tell) -> Endpoint:
        """The live release again with the settings of today, such as telemetry on or off; its image stays."""
        state = self.record.read()
        if state.live is None:
            raise TargetError("No release is live, so none can be put again.", do="Deliver one with `pushline run`.")
        definition = msgspec.structs.replace(
            state.live.definition,
            cpu=self.azure.cpu,
            memory_gb=self.azure.memory_gb,
            workers=self.settings.serving.workers,
            serving=serving_variables(self.settings.serving),
            tls=self.azure.tls,
            telemetry=self.azure.telemetry and bool(self.cloud.facts.insights),
        )
        live = self._put_live(state, definition, tell)
        self.record.write(msgspec.structs.replace(state, live=live))
        return Endpoint(release=live.release, url=live.url)

    def discard(self, tell: Tell) -> bool:
        state = self.record.read()
        was = self.groups.remove(self.label + CANDIDATE)
        if state.candidate is not None:
            self.record.write(msgspec.structs.replace(state, candidate=None))
        return was

    def stop(self, tell: Tell) -> bool:
        """Stop the live group and remove the candidate. A stopped group costs nothing; the next promotion makes it anew."""
        was = self.discard(tell)
        return self.groups.stop(self.label) or was

    # Looking

    def status(self) -> Status:
        state = self.record.read()
        notes: list[str] = []
        live = self._endpoint(state.live, notes)
        candidate = self._endpoint(state.candidate, notes)
        if state.candidate is None and self.groups.find(self.label + CANDIDATE) is not None:
            notes.append(f"{self.label + CANDIDATE} stands although no candidate is remembered; `pushline discard` removes it.")
        previous = state.history[-1].release if state.history else None
        return Status(target=self.name, live=live, candidate=candidate, previous=previous, notes=tuple(notes))

    def _endpoint(self, slot: Slot | None, notes: list[str]) -> Endpoint | None:
        if slot is None:
            return None
        name = slot.definition.name
        standing = self.groups.find(name)
        if standing is None:
            notes.append(f"{name} is remembered as {slot.release.id}, but there is no such container group any more.")
            return None
        runs = standing.instance_view.state if standing.instance_view else "unknown"
        if runs == "Stopped":
            notes.append(f"The release {slot.release.id} was stopped.")
            return None
        fault = self.groups.fault_of(name)
        if fault:
            notes.append(f"{name}: {fault}.")
        if (standing.tags or {}) != slot.definition.tags:
            notes.append(f"{name} is not as it was put: someone else has changed it.")
        return Endpoint(release=slot.release, url=slot.url, ready=runs == "Running" and not fault)

    def logs(self, *, since: float | None, errors: bool, follow: bool) -> Iterator[LogEntry]:
        return logs.entries(self.cloud, self.groups, self.label, since=since, errors=errors, follow=follow)
