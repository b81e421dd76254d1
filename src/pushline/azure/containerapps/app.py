"""One container app: read, changed and waited for through the resource manager, with the patience that it asks for."""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from pushline.azure.cloud import Cloud
from pushline.azure.containerapps.definition import (
    APP_VERSION,
    AppDefinition,
    configuration_of,
    environment_name,
    secrets_of,
    template_of,
)
from pushline.azure.containerapps.state import AppState, Revision, state_of, tags_of, traffic_of
from pushline.azure.definition import SCORING
from pushline.azure.endpoint import wait_until_ready
from pushline.azure.failures import AGAIN, code_of, first_line
from pushline.azure.groups import CRASHED, TRANSITIONING
from pushline.errors import TargetError
from pushline.serving.client import Client

LOOK_S = 1.0
TAIL = 300  # lines of a replica's log that the service gives at most
BUSY = TRANSITIONING | {"ContainerAppOperationInProgress"}
Change = Callable[[AppState], AppState]
T = TypeVar("T")


def changed(state: AppState, change: Change, share: int = 0) -> AppState:
    """The state after a change, with the weights that belong to it."""
    state = change(state)
    weights = {state.live: 100 - share, state.candidate: share} if share else {state.live or state.candidate: 100}
    return msgspec.structs.replace(state, weights=weights)


class ContainerApp:
    """The app that bears an endpoint's name."""

    def __init__(self, cloud: Cloud, name: str, start_within_s: float) -> None:
        self.cloud = cloud
        self.name = name
        self.id = cloud.id_of("Microsoft.App", "containerApps", name)
        self.start_within_s = start_within_s

    def read(self) -> AppState:
        what = f"looking at the container app {self.name}"
        app = self.cloud.arm.find(self.id, APP_VERSION, what=what)
        return state_of(app, self.cloud.arm.all(f"{self.id}/revisions", APP_VERSION, what=what)) if app is not None else AppState()

    # What is changed

    def put(self, suffix: str, definition: AppDefinition, keys: str, connection: str, change: Change) -> Revision:
        """Make a revision, and the app where it is not there; in the same call it becomes to us what `change` says."""
        identity = self.cloud.pull_identity

        def call() -> None:
            state = changed(self.read(), change)
            server = definition.image.partition("/")[0]
            configuration = configuration_of(server, identity, keys, connection, traffic_of(self.name, state))
            environment = self.cloud.id_of("Microsoft.App", "managedEnvironments", environment_name(self.cloud.settings))
            body = {
                "location": self.cloud.facts.region,
                "tags": tags_of(state),
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}},
                "properties": {
                    "environmentId": environment,
                    "configuration": configuration,
                    "template": template_of(definition, suffix),
                },
            }
            self.cloud.arm.make("PUT", self.id, APP_VERSION, body, what=f"making the revision {self.name}--{suffix}")

        self._persist(call)
        return self._seen(suffix)

    def _seen(self, suffix: str) -> Revision:
        """The revision just made; a read may lag behind the write."""
        until = time.monotonic() + self.start_within_s
        while (revision := self.read().revisions.get(suffix)) is None:
            if time.monotonic() > until:
                raise TargetError(f"The revision {self.name}--{suffix} was made, but Azure does not show it.", do=AGAIN)
            time.sleep(LOOK_S)
        return revision

    def write(self, change: Change, *, what: str, share: int = 0) -> AppState:
        """Weights and tags as `change` says, in one call; where another operation goes on, it is asked again once that has ended.

        The live release gets all requests but the candidate's `share`: a split that a killed command has left ends with the next change.
        """

        def call() -> AppState:
            before = self.read()
            state = changed(before, change, share)
            body = {"tags": tags_of(state), "properties": {"configuration": {"ingress": {"traffic": traffic_of(self.name, state)}}}}
            if state != before:
                self.cloud.arm.make("PATCH", self.id, APP_VERSION, body, what=what)
            return state

        return self._persist(call)

    def give_secrets(self, keys: str, connection: str) -> None:
        """Other secrets; a replica takes them when it starts."""
        body = {"properties": {"configuration": {"secrets": secrets_of(self.cloud.pull_identity, keys, connection)}}}
        what = f"giving {self.name} its keys"
        self._persist(lambda: self.cloud.arm.make("PATCH", self.id, APP_VERSION, body, what=what))

    def act(self, action: str, suffix: str = "") -> None:
        """`activate`, `deactivate` or `restart` a revision; `start` or `stop` the whole app."""
        name = f"{self.name}--{suffix}" if suffix else self.name
        resource = f"{self.id}/revisions/{name}" if suffix else self.id
        self._persist(lambda: self.cloud.arm.act(resource, action, APP_VERSION, what=f"asking to {action} {name}"))

    def remove(self) -> None:
        self._persist(lambda: self.cloud.arm.remove(self.id, APP_VERSION, what=f"deleting the container app {self.name}"))

    def tidy(self, needed: Iterable[str] = ()) -> bool:
        """Deactivate revisions that nobody needs: an active one costs its replicas. True where there were such."""
        state = self.read()
        left = [each.suffix for each in state.revisions.values() if each.active and each.suffix not in (needed or state.needed)]
        for suffix in left:
            self.act("deactivate", suffix)
        return bool(left)

    def _persist(self, call: Callable[[], T]) -> T:
        """Call until no other operation on the app is under way."""
        until = time.monotonic() + self.start_within_s
        while True:
            try:
                return call()
            except TargetError as error:
                cause: Any = error.__cause__
                if getattr(cause, "status_code", 0) != 409 or code_of(cause) not in BUSY or time.monotonic() > until:
                    raise
                time.sleep(LOOK_S)

    # What is waited for and read

    def wait(self, revision: Revision, url: str = "") -> None:
        """Until the revision answers under its own name, or under the address that is given.

        Raises TargetError, with what Azure and the container said, where it does not in time.
        """
        wait_until_ready(
            url or revision.url,
            revision.release.id,
            time.monotonic() + self.start_within_s,
            every_s=LOOK_S / 4,
            fault=lambda: self._fault_of(revision.suffix),
            not_up=lambda why: self._not_up(revision, why),
        )

    def _replicas(self, suffix: str) -> list[dict[str, Any]]:
        what = f"looking at the replicas of {self.name}--{suffix}"
        return self.cloud.arm.all(f"{self.id}/revisions/{self.name}--{suffix}/replicas", APP_VERSION, what=what)

    def _fault_of(self, suffix: str) -> str:
        """Why a revision will not come up by itself, or nothing."""
        standing = self.read().revisions.get(suffix)
        if standing is None:
            return "it is gone"
        if standing.fault:
            return standing.fault
        containers = [each for replica in self._replicas(suffix) for each in replica["properties"].get("containers") or []]
        restarts = max((int(each.get("restartCount") or 0) for each in containers), default=0)
        return f"its container keeps ending ({restarts} restarts)" if restarts >= CRASHED else ""

    def _not_up(self, revision: Revision, reason: str) -> TargetError:
        """The error for a revision that does not come up, with its container's last line."""
        lines = [line for line in self.log(revision.suffix).splitlines() if line.strip()]
        return TargetError(
            f"The release {revision.release.id} does not answer on {self.name}--{revision.suffix}.",
            why=f"Azure shows that {reason}.{f' Its container said: {first_line(lines[-1])}' if lines else ''}",
            do="The live release is untouched unless this was it; `pushline status` tells. Correct the cause and run again.",
        )

    def log(self, suffix: str) -> str:
        """What the replicas of a revision have said in their present life; nothing of one whose log can't be had."""
        token = self.cloud.arm.act(self.id, "getAuthtoken", APP_VERSION, what="asking for access to the log")["properties"]["token"]
        texts = []
        for replica in self._replicas(suffix):
            for container in replica["properties"].get("containers") or []:
                address = urlsplit(str(container.get("logStreamEndpoint") or ""))
                if container["name"] == SCORING and address.netloc:
                    asked = f"{address.path}?follow=false&output=text&tailLines={TAIL}"
                    answer = Client(f"https://{address.netloc}").get(asked, token)
                    texts.append(answer.body.decode(errors="replace") if answer.status == 200 else "")
        return "\n".join(texts)
