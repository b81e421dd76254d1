"""What a container app says of itself: revisions, weights, and tags that say what each revision is to us.

Tags and weights change in one call, so there is no moment at which they tell two stories, and no record beside the app.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pushline.azure.containerapps.definition import RECORD, AppDefinition
from pushline.azure.definition import TAG
from pushline.release.target import Endpoint, candidate_gone
from pushline.results import Release

REMEMBERED = 5  # releases before the live one that can be rolled back to
LIVE, CANDIDATE, HISTORY, UNFINISHED = (TAG + word for word in ("live", "candidate", "history", "unfinished"))
FAILED = "Failed"


class Revision(Struct, frozen=True, kw_only=True):
    """A revision as it stands."""

    suffix: str
    url: str
    definition: AppDefinition
    active: bool
    fault: str  # why it will not come up by itself; empty where nothing is known

    @property
    def release(self) -> Release:
        return self.definition.release

    def endpoint(self, *, ready: bool = True) -> Endpoint:
        return Endpoint(release=self.release, url=self.url, ready=ready)


class AppState(Struct, frozen=True, kw_only=True):
    """The app as it stands. Revisions are named by their suffixes."""

    there: bool = False
    stopped: bool = False
    url: str = ""
    live: str = ""
    candidate: str = ""
    history: tuple[str, ...] = ()  # live before, newest last
    unfinished: str = ""  # the command that has changed what is live, and has more to do
    weights: dict[str, int] = {}  # percent of the requests
    revisions: dict[str, Revision] = {}

    @property
    def needed(self) -> set[str]:
        """The revisions that are to run: the one before the live one too, so that a rollback is a weight."""
        return {self.live, self.candidate, *self.history[-1:]} - {""}

    def checked(self, candidate: Endpoint) -> "AppState":
        """Itself, where the candidate is the one that is meant. Raises TargetError."""
        there = self.revisions.get(self.candidate)
        if there is None or (there.release.id, there.url) != (candidate.release.id, candidate.url):
            raise candidate_gone(candidate, there.endpoint() if there else None)
        return self

    def live_endpoint(self, *, ready: bool = True) -> Endpoint:
        return Endpoint(release=self.revisions[self.live].release, url=self.url, ready=ready)


def state_of(app: Mapping[str, Any], revisions: list[dict[str, Any]]) -> AppState:
    """The state in what the resource manager tells."""
    tags, properties, name = app.get("tags") or {}, app["properties"], str(app["name"])
    ingress = properties["configuration"]["ingress"]
    known = {each.suffix: each for each in map(revision_of, revisions) if each is not None}
    prefix = f"{name}--"
    latest = str(properties.get("latestRevisionName") or "")
    weights: dict[str, int] = {}
    for each in ingress.get("traffic") or []:
        suffix = str(each.get("revisionName") or latest).removeprefix(prefix)
        weights[suffix] = weights.get(suffix, 0) + int(each.get("weight") or 0)
    live, candidate = (tags.get(tag, "") if tags.get(tag, "") in known else "" for tag in (LIVE, CANDIDATE))
    return AppState(
        there=True,
        stopped=properties.get("runningStatus") == "Stopped",
        url=f"https://{ingress['fqdn']}",
        live=live,
        candidate=candidate,
        history=tuple(suffix for suffix in tags.get(HISTORY, "").split() if suffix in known),
        unfinished=tags.get(UNFINISHED, ""),
        weights={suffix: weight for suffix, weight in weights.items() if weight},
        revisions=known,
    )


def revision_of(told: Mapping[str, Any]) -> Revision | None:
    """The revision, where it is one of ours."""
    said = told["properties"]
    variables = {each["name"]: each.get("value") for each in said["template"]["containers"][0].get("env") or []}
    try:
        definition = msgspec.json.decode(variables[RECORD], type=AppDefinition)
    except (KeyError, TypeError, msgspec.DecodeError):
        return None
    failed = FAILED in (said.get("provisioningState"), said.get("runningState"))
    return Revision(
        suffix=str(told["name"]).partition("--")[2],
        url=f"https://{said['fqdn']}",
        definition=definition,
        active=bool(said.get("active")),
        fault=str(said.get("provisioningError") or "its state is Failed") if failed else "",
    )


def tags_of(state: AppState) -> dict[str, str]:
    """All tags of the app."""
    history = " ".join(state.history[-REMEMBERED:])
    return {LIVE: state.live, CANDIDATE: state.candidate, HISTORY: history, UNFINISHED: state.unfinished}


def traffic_of(name: str, state: AppState) -> list[dict[str, Any]]:
    """The weights as the app takes them. Where nothing is live yet there is only the candidate to give the name to."""
    if not state.live:
        return [{"latestRevision": True, "weight": 100}]
    return [{"revisionName": f"{name}--{suffix}", "weight": weight} for suffix, weight in state.weights.items()]
