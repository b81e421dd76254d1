"""What every target owes: two slots, candidate and live, and a way back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

from msgspec import Struct

from pushline.errors import TargetError
from pushline.progress import Progress
from pushline.release.traffic import RequestCounts
from pushline.results import Release
from pushline.serving.keys import EndpointKeys

OnLive = Callable[[Release], None]  # lets the registry know which release is live
Ability = Literal["split", "mirror", "switch without a gap"]


class KeysWithheld(TargetError):
    """Whoever asks may not read the endpoint's keys."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """A release that answers, and where."""

    release: Release
    url: str  # without a slash at the end
    ready: bool = True


class Status(Struct, frozen=True, kw_only=True):
    """The slots of a target."""

    target: str
    live: Endpoint | None
    candidate: Endpoint | None
    previous: Release | None
    notes: tuple[str, ...] = ()  # such as: a stale record was found and cleared
    unfinished: str = ""  # the command that was cut off after it changed what is live: the same again ends it


class LogEntry(Struct, frozen=True, kw_only=True):
    """One line of a release's log, in one shape for every target."""

    at: datetime
    level: str
    event: str
    release: str = ""
    fields: dict[str, Any] = {}


class TrafficSplit(Protocol):
    """Live requests shared between the live release and the candidate, until its block ends: then the live release has them all again.

    What was given before a command was killed must not stay for good: where the target can't end it by itself, `status` tells it as
    unfinished, and the next command that changes the target ends it.
    """

    def give(self, share: float, *, mirror: float = 0.0) -> None:
        """From now on the candidate answers this share of the live requests, and where it can, gets a copy of a share of the others."""

    def counts(self) -> tuple[RequestCounts, RequestCounts]:
        """What the live release and the candidate have counted, each since it was started. Raises TargetError where the live one ended."""


class Target(Protocol):
    """Where releases live. `release/` and the stages know this and no cloud."""

    name: str
    can: frozenset[Ability]  # a promotion on a target that can't split is one switch

    def keys(self) -> EndpointKeys:
        """The endpoint's keys. Raises KeysWithheld where whoever asks may not read them."""

    def rotate_keys(self, progress: Progress) -> EndpointKeys:
        """Make a fresh primary key. The one before becomes the secondary and stays valid; the secondary before ends."""

    def keys_place(self) -> str:
        """Where the keys are kept: a file, or an address. Never a key."""

    def deploy_candidate(self, release: Release, progress: Progress) -> Endpoint:
        """Start `release` in the candidate slot beside the live one and wait until it is ready."""

    def split(self, candidate: Endpoint, progress: Progress) -> AbstractContextManager[TrafficSplit]:
        """Share live requests with the candidate. Raises TargetError where the target can't, or one of the two does not run."""

    def promote(self, candidate: Endpoint, progress: Progress) -> Endpoint:
        """Put the candidate's release on the live name. The one before is remembered as previous."""

    def roll_back(self, progress: Progress, known: OnLive | None = None) -> Endpoint:
        """Put the previous release on the live name again, and tell `known`: one that is cut off between is completed by the next."""

    def withdraw(self, progress: Progress) -> Endpoint | None:
        """Undo a promotion that did not hold: the release before is live again, or none where there was none."""

    def discard(self, progress: Progress) -> bool:
        """Remove the candidate; the live release is untouched. True where there was one."""

    def start(self, progress: Progress) -> Endpoint:
        """Let the release that was live answer again, where it was stopped or ended; on Azure also with changed settings.

        Raises TargetError where none was ever live.
        """

    def stop(self, progress: Progress) -> bool:
        """Stop the live release and any candidate. True where one ran."""

    def status(self) -> Status: ...
    def logs(self, *, since: float | None, errors: bool, follow: bool) -> Iterator[LogEntry]:
        """Entries of the live release, oldest first; `since` in seconds before now."""


def nothing_to_start(target: str) -> TargetError:
    return TargetError(
        f"There is no release to start on the target {target}.", why="None was ever promoted there.", do="Deliver one with `pushline run`."
    )


def no_split(target: str) -> TargetError:
    return TargetError(f"Live requests can't be shared on the target {target}.", do="Promote without steps.")


def candidate_gone(wanted: Endpoint, there: Endpoint | None) -> TargetError:
    return TargetError(
        f"The candidate {wanted.release.id} is not there any more.",
        why=f"The candidate is {there.release.id} at {there.url}." if there else "None runs: promoted, discarded or died.",
        do="Deploy it again with `pushline deploy`, then `pushline smoke` and `pushline load-test`.",
    )


def nothing_before(*, live: bool) -> TargetError:
    return TargetError(
        "There is no previous release to roll back to.",
        why="No release was promoted before the live one." if live else "No release was ever promoted here.",
        do="`pushline deploy --version N` takes any accepted version back through smoke and load-test.",
    )
