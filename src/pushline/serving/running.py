"""What a service is told to run, and which version a model folder holds."""

import socket
from mmap import mmap
from pathlib import Path

from msgspec import Struct

from pushline.errors import SettingsError
from pushline.files import read_json
from pushline.settings import Serving
from pushline.signing import Signers, verify

RECORD = "release.json"  # beside the model folder of a release: {"release": {"id": …, "model_version": …}, …}
UNRELEASED = "unreleased"
SLOT_BYTES = 16_384  # of the shared counters, for each worker
IDLE_AFTER_SWITCH_S = 5.0  # another worker answers: a client that is this slow between requests opens a new connection


class Running(Struct, frozen=True, kw_only=True):
    """One release as a worker runs it."""

    model: Path
    release: str
    version: str
    keys: Path
    log: Path | None
    settings: Serving
    records: Path | None = None  # where a sample of the scored rows is kept
    signers: Path | None = None  # who may have signed the model; None for a release from before models were signed
    manifest: str = ""  # the digest that was approved, where the folder is one of a release

    def verify(self) -> None:
        """Raises NotTrusted where the model is not what was signed and approved; a worker that is started again asks again."""
        if self.signers is not None:
            verify(self.model, Signers(self.signers), digest=self.manifest)

    @property
    def drain_s(self) -> float:
        """What a worker that is told to end has at most: a request that has begun may take as long as any other."""
        return max(self.settings.timeout, IDLE_AFTER_SWITCH_S) + 0.5


class Place(Struct, frozen=True, kw_only=True):
    """What a worker shares with its supervisor and the other workers of its release."""

    listener: socket.socket
    lifeline: socket.socket  # lines from and to the supervisor; its end means the supervisor is gone
    shared: mmap
    slot: int
    slots: int
    notes: tuple[socket.socket, socket.socket] | None = None  # where the sender takes what workers note of requests, and they leave it


class ReleaseNames(Struct, frozen=True, kw_only=True):
    """The part of a release's record that its answers carry."""

    id: str
    model_version: str
    manifest: str | None = None  # the digest of the model folder that was approved; none where nothing was signed then


class ReleaseRecord(Struct, frozen=True, kw_only=True):
    release: ReleaseNames


def record_of(model: Path) -> ReleaseNames | None:
    """What the record beside the folder says of its release; None where it is none."""
    found = read_json(model.resolve().parent / RECORD, ReleaseRecord)
    return found.release if found else None


def named(model: Path, release: str | None, version: str | None) -> tuple[str, str]:
    """The release and the model version to answer with: as said, else as the record beside the folder says.

    Raises SettingsError where a header could not carry them.
    """
    record = record_of(model) or ReleaseNames(id=UNRELEASED, model_version=UNRELEASED)
    names = release or record.id, version or (record.model_version if release in (None, record.id) else UNRELEASED)
    for name in names:
        if not (name.isascii() and name.isprintable()):
            raise SettingsError(f"{name!r} can't be sent in a header.", do="Name release and version in printable ASCII characters.")
    return names
