"""What is signed of a model folder: the digest of every file in it, and where the model was trained.

An in-toto statement whose predicate is that of OpenSSF model signing (https://github.com/ossf/model-signing-spec), so that its
`model_signing verify` reads it too. `origin` is ours; the specification lets other verifiers pass over it.
"""

import hashlib
import os
from pathlib import Path

from msgspec import Struct, field

from pushline.files import sha256_of

SIGNATURE = "model.sig"  # in the folder, and the one file that the signature can't cover
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
IRREGULAR = "no regular file"  # in place of a digest: equal to none


class Provenance(Struct, frozen=True, kw_only=True):
    """Where a model was trained."""

    repository: str  # owner/name; empty where no remote says
    branch: str  # empty where none is checked out
    git_revision: str
    after: int  # the highest number that a version of the model had in the registry at that time
    key: str = ""  # the public half of the key that signed it there, as PEM


class SignedFile(Struct, frozen=True, kw_only=True):
    """A file of the folder."""

    name: str
    digest: str
    algorithm: str = "sha256"


class Serialization(Struct, frozen=True, kw_only=True):
    """How the folder was read, for other verifiers."""

    method: str = "files"
    hash_type: str = "sha256"
    allow_symlinks: bool = False
    ignore_paths: tuple[str, ...] = (SIGNATURE,)


class Predicate(Struct, frozen=True, kw_only=True):
    resources: tuple[SignedFile, ...]
    serialization: Serialization = Serialization()
    origin: Provenance


class Subject(Struct, frozen=True, kw_only=True):
    name: str
    digest: dict[str, str]


class Statement(Struct, frozen=True, kw_only=True, rename="camel"):
    """The manifest of a model folder. One digest stands for all of it: the sha256 over those of its files."""

    subject: tuple[Subject]
    predicate: Predicate
    predicate_type: str = PREDICATE
    type_: str = field(default=STATEMENT, name="_type")

    @property
    def name(self) -> str:
        return self.subject[0].name

    @property
    def digest(self) -> str:
        return self.subject[0].digest.get("sha256", "")

    @property
    def origin(self) -> Provenance:
        return self.predicate.origin


def statement_of(folder: Path, name: str, origin: Provenance) -> Statement:
    """The manifest of `folder` as it is now."""
    resources = tuple(SignedFile(name=file, digest=digest) for file, digest in sorted(digests_of(folder).items()))
    subject = Subject(name=name, digest={"sha256": digest_of(resources)})
    return Statement(subject=(subject,), predicate=Predicate(resources=resources, origin=origin))


def digest_of(resources: tuple[SignedFile, ...]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(resource.digest) for resource in resources)).hexdigest()


def digests_of(folder: Path) -> dict[str, str]:
    """The sha256 of every file but the signature, by its path in the folder. A link is no file: it may lead anywhere."""
    found = {}
    for place, folders, files in os.walk(folder):
        for path in (Path(place) / name for name in (*folders, *files)):
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                found[path.relative_to(folder).as_posix()] = IRREGULAR
            elif path.is_file():
                found[path.relative_to(folder).as_posix()] = sha256_of(path)
    found.pop(SIGNATURE, None)
    return found
