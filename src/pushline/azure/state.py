"""What the aci target remembers: a record in the workspace's blob storage, changed by one command at a time.

The groups themselves say what runs; the record says what was, and how to put it back.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from pushline.azure.cloud import Cloud
from pushline.azure.definition import Definition
from pushline.azure.failures import asking
from pushline.errors import TargetError
from pushline.results import Release

REMEMBERED = 5  # releases before the live one that can be rolled back to
STORE = "workspaceblobstore"


class AciSlot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group as it was put."""

    definition: Definition
    url: str

    @property
    def release(self) -> Release:
        return self.definition.release


Command = Literal["promote", "rollback", "start", "deploy --same"]  # the last one is what start was called


class PlannedChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of the live group, written down before it is made: a command may end at any call."""

    command: Command
    definition: Definition
    history: tuple[Definition, ...]


class AciState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The slots, and the definitions that were live before, newest last. What other versions write beside it stays."""

    live: AciSlot | None = None
    candidate: AciSlot | None = None
    history: tuple[Definition, ...] = ()
    planned: PlannedChange | None = None
    stopped: bool = False  # by `pushline stop`
    sites: dict[str, str] = {}  # names the service gave, by scope and label: they stay, so they need not be asked for twice


def as_it_is(state: AciState, running: str, site: str) -> AciState:
    """The state with a planned change taken as made where the live group's tags say that it was, else as not made.

    `running` is the hash of the definition that the live group says it was put with, `site` the name that it has.
    """
    planned = state.planned
    if planned is None:
        return state
    if running != planned.definition.hash:
        return msgspec.structs.replace(state, planned=None)
    live = AciSlot(definition=msgspec.structs.replace(planned.definition, site=site), url=f"https://{site}")
    unknown = planned if planned.command == "rollback" else None  # the registry may not know of it yet
    return msgspec.structs.replace(state, live=live, history=planned.history, planned=unknown)


class AciRecord:
    """The state of one endpoint. What was read is what may be replaced: a change by another command in between is refused."""

    def __init__(self, cloud: Cloud, label: str) -> None:
        self.cloud = cloud
        self.name = f"pushline/{label}/target.json"
        self.was = AciState()  # as it was read, or written, last
        self.mark: str | None = None
        self._beside: dict[str, Any] = {}
        self._box: Any = None

    def _blob(self) -> Any:
        if self._box is None:
            self._box = self.cloud.container(STORE)
        return self._box.get_blob_client(self.name)

    def read(self) -> AciState:
        from azure.core.exceptions import ResourceNotFoundError

        with asking("reading what the target remembers"):
            try:
                found = self._blob().download_blob()
                content, self.mark = found.readall(), found.properties.etag
            except ResourceNotFoundError:
                self.mark, self.was = None, AciState()
                return self.was
        try:
            self.was = msgspec.json.decode(content, type=AciState)
            self._beside = {key: value for key, value in msgspec.json.decode(content).items() if key not in AciState.__struct_fields__}
            return self.was
        except msgspec.DecodeError as error:
            raise TargetError(
                f"What the target remembers can't be understood ({STORE}/{self.name}).",
                why=f"{error}.",
                do="A newer version of Pushline may have written it: use that one. Else restore an earlier version of the blob.",
            ) from error

    def write(self, state: AciState) -> None:
        """Replace what was read last. Raises TargetError where another command has written since."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        state = msgspec.structs.replace(state, history=state.history[-REMEMBERED:])
        same: dict[str, Any] = {"overwrite": False}
        if self.mark is not None:
            same = {"overwrite": True, "etag": self.mark, "match_condition": MatchConditions.IfNotModified}
        with asking("writing what the target remembers"):
            try:
                content = msgspec.json.encode({**self._beside, **msgspec.to_builtins(state)})
                self.mark = self._blob().upload_blob(content, **same)["etag"]
            except (ResourceModifiedError, ResourceExistsError) as error:
                raise TargetError(
                    "Another command has changed the target in between.",
                    why=f"The record {self.name} is not the one that was read.",
                    do="Look at `pushline status`, then run this command again if it is still wanted.",
                ) from error
        self.was = state
