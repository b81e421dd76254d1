"""Container groups: put, looked at, waited for and removed, with the patience that the service asks for."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pushline.azure.arm import PATIENCE
from pushline.azure.cloud import Cloud
from pushline.azure.definition import SCORING, SIDECAR, Definition, Secrets, group_of, must_be_remade
from pushline.azure.endpoint import wait_until_ready
from pushline.azure.failures import AGAIN, asking, code_of, first_line
from pushline.errors import SettingsError, TargetError
from pushline.progress import Progress

API = "2023-05-01"
LOOK_S = 2.0
SETTLE_S = 300.0  # a role that was just given takes minutes to reach those who pull an image
TRANSITIONING = frozenset({"ContainerGroupTransitioning", "ContainerGroupDeploymentNotReady", "OperationInProgress", "Conflict"})
CRASHED = 2  # restarts after which a container is held to be crash-looping
T = TypeVar("T")


class Groups:
    """The container groups of the workspace's resource group."""

    def __init__(self, cloud: Cloud, start_within_s: float) -> None:
        self.cloud = cloud
        self.start_within_s = start_within_s
        self.resource_group = cloud.settings.resource_group
        self._client: Any = None

    @property
    def client(self) -> Any:
        if self._client is None:
            from azure.mgmt.containerinstance import ContainerInstanceManagementClient

            self._client = ContainerInstanceManagementClient(
                self.cloud.credential, self.cloud.settings.subscription, api_version=API, polling_interval=5, **PATIENCE
            )
        return self._client

    def find(self, name: str) -> Any | None:
        """The group as it stands, without its secrets; None where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with asking(f"looking at the container group {name}"):
            try:
                return self.client.container_groups.get(self.resource_group, name)
            except ResourceNotFoundError:
                return None

    def put(self, definition: Definition, secrets: Secrets, progress: Progress) -> str:
        """Bring a group to its definition and wait until its service answers; the name that the service gave it.

        Raises TargetError, with what Azure and the container said, where it does not come up in time.
        """
        until = time.monotonic() + self.start_within_s
        standing = self.find(definition.name)
        if standing is not None:
            reason = must_be_remade(standing, definition)
            if reason:
                progress(f"Deleting {definition.name} first: a container group can't change {reason}.")
                self.remove(definition.name)
        fqdn = self._put_once(definition, secrets, until, progress)
        if fqdn != definition.site:
            progress(f"The service named it {fqdn}; putting it again with that name on its certificate.")
            definition = msgspec.structs.replace(definition, site=fqdn)
            self._put_once(definition, secrets, until, progress)
        wait_until_ready(
            f"https://{fqdn}",
            definition.release.id,
            until,
            every_s=LOOK_S / 4,
            fault=lambda: self.fault_of(definition.name),
            not_up=lambda why: self.not_up(definition, why),
        )
        return fqdn

    def _put_once(self, definition: Definition, secrets: Secrets, until: float, progress: Progress) -> str:
        progress(f"Putting the container group {definition.name} ({definition.release.id}).")
        body = group_of(definition, secrets)
        with asking(f"putting the container group {definition.name}"):
            poller = self._persist(
                lambda: self.client.container_groups.begin_create_or_update(self.resource_group, definition.name, body), until, definition
            )
            while not poller.done():
                if time.monotonic() > until:
                    raise self.not_up(definition, f"it did not start within {self.start_within_s:g} s")
                poller.wait(LOOK_S)
            poller.result()
        standing = self._seen(definition, until)
        return str(standing.ip_address.fqdn)

    def _seen(self, definition: Definition, until: float) -> Any:
        """The group just put; a read may lag behind the write."""
        while True:
            standing = self.find(definition.name)
            if standing is not None and standing.ip_address is not None and standing.ip_address.fqdn:
                return standing
            if time.monotonic() > until:
                raise TargetError(f"The container group {definition.name} was put, but Azure does not show it.", do=AGAIN)
            time.sleep(LOOK_S)

    def _persist(self, call: Callable[[], T], until: float, definition: Definition | None = None) -> T:
        """Call until the service has no other operation on the group under way, and knows rights and images that are new."""
        from azure.core.exceptions import HttpResponseError

        settled = time.monotonic() + SETTLE_S
        while True:
            try:
                return call()
            except HttpResponseError as error:
                if definition is not None and code_of(error) == "DnsNameLabelNotAvailable":
                    raise label_taken(definition, error) from error
                busy = error.status_code == 409 and code_of(error) in TRANSITIONING
                unsettled = code_of(error) == "InaccessibleImage" and time.monotonic() < settled
                if not (busy or unsettled) or time.monotonic() > until:
                    raise
                time.sleep(LOOK_S)

    def fault_of(self, name: str) -> str:
        """Why a group will not come up by itself, or nothing."""
        standing = self.find(name)
        for container in standing.containers if standing is not None else []:
            view = container.instance_view
            if view is None:
                continue
            detail = (view.current_state.detail_status or "") if view.current_state else ""
            if (view.restart_count or 0) >= CRASHED or "CrashLoopBackOff" in detail:
                ended = view.previous_state.exit_code if view.previous_state else None
                return f"the container {container.name} keeps ending (exit code {ended}, {view.restart_count} restarts)"
        return ""

    def not_up(self, definition: Definition, reason: str) -> TargetError:
        """The error for a group that does not come up, with its newest event and its containers' last lines."""
        said = [self.last_event(definition.name), *(self.last_line(definition.name, name) for name in (SCORING, SIDECAR))]
        told = " ".join(part for part in said if part)
        return TargetError(
            f"The release {definition.release.id} does not answer on {definition.name}.",
            why=f"Azure shows that {reason}.{' ' + told if told else ''}",
            do="The live release is untouched unless this was it; `pushline status` tells. Correct the cause and run again.",
        )

    def last_event(self, name: str) -> str:
        standing = self.find(name)
        events = standing.instance_view.events if standing is not None and standing.instance_view else None
        return f"Its newest event: {events[-1].name}, {events[-1].message}." if events else ""

    def last_line(self, name: str, container: str) -> str:
        lines = [line for line in self.log(name, container, 3).splitlines() if line.strip()]
        return f"{container} said: {first_line(lines[-1])}" if lines else ""

    def log(self, name: str, container: str, tail: int) -> str:
        """What a container has said in its present life; empty where it can't be had."""
        from azure.core.exceptions import HttpResponseError

        try:
            return self.client.containers.list_logs(self.resource_group, name, container, tail=tail).content or ""
        except HttpResponseError:
            return ""

    def remove(self, name: str) -> bool:
        """Delete a group and wait until it is gone; True where there was one."""
        from azure.core.exceptions import ResourceNotFoundError

        if self.find(name) is None:
            return False
        until = time.monotonic() + self.start_within_s
        with asking(f"deleting the container group {name}"):
            try:
                poller = self._persist(lambda: self.client.container_groups.begin_delete(self.resource_group, name), until)
                poller.wait(max(LOOK_S, until - time.monotonic()))
            except ResourceNotFoundError:
                return False
        if not poller.done():
            raise TargetError(f"The container group {name} is still being deleted after {self.start_within_s:g} s.", do=AGAIN)
        return True

    def stop(self, name: str) -> bool:
        """Stop a group: it costs nothing any more, and keeps its name."""
        if self.find(name) is None:
            return False
        with asking(f"stopping the container group {name}"):
            until = time.monotonic() + self.start_within_s
            self._persist(lambda: self.client.container_groups.stop(self.resource_group, name), until)
        return True


def label_taken(definition: Definition, error: Any) -> SettingsError:
    return SettingsError(
        f"The name {definition.label} is taken in {definition.region}.",
        why=f"Azure says {code_of(error)}: another container group has that DNS label.",
        do="Set another `label` in [tool.pushline.azure].",
    )
