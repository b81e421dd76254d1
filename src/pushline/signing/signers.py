"""Who may sign a model: `signers/` of the repository, so that whoever is added or removed there is reviewed like code.

signers/NAME.pub     a public key (PEM). A machine's first training makes its own, and puts this half here
signers/github.json  the workflows that may sign by their identity: {"repository": "owner/name", "branch": "main"}
signers/*.jsonl      what else than the public Sigstore is believed, as `gh attestation trusted-root` gives it
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from pushline.errors import SettingsError
from pushline.files import write_atomically
from pushline.signing.bundle import Untrusted, fingerprint

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

GITHUB = "github.json"


class GithubSigner(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The workflows whose identity may sign."""

    repository: str  # owner/name
    branch: str = "main"
    workflows: tuple[str, ...] = ("deliver.yml", "retrain.yml")
    attestations: bool = True  # false: GitHub gives this repository none, and vouches for what its runs leave in another way


class Signers:
    """The folder `signers/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def keys(self) -> dict[str, str]:
        """The public keys as PEM, by their fingerprint."""
        read = [file.read_text(encoding="utf-8") for file in sorted(self.folder.glob("*.pub"))]
        return {fingerprint(pem): pem for pem in read}

    @cached_property
    def github(self) -> GithubSigner | None:
        """Raises SettingsError for a file that can't be understood."""
        file = self.folder / GITHUB
        if not file.is_file():
            return None
        try:
            return msgspec.json.decode(file.read_bytes(), type=GithubSigner)
        except msgspec.DecodeError as error:
            raise SettingsError(f"{file} can't be understood.", why=f"{error}.", do=f"Correct it: {GithubSigner.__doc__}") from error

    def key(self, hint: str) -> "EllipticCurvePublicKey":
        """Raises Untrusted where no such key is trusted."""
        if hint not in self.keys:
            known = ", ".join(sorted(name[:12] for name in self.keys)) or "none"
            raise Untrusted(f"it is signed with the key {hint[:12] or '(unnamed)'}, and {self.folder} trusts {known}")
        return public_key(self.keys[hint])

    def add(self, pem: str) -> Path:
        """Trust a key from now on in this checkout; whoever commits the file lets it be reviewed."""
        file = self.folder / f"{fingerprint(pem)[:12]}.pub"
        write_atomically(file, pem.encode())
        self.__dict__.pop("keys", None)
        return file


def public_key(pem: str) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise Untrusted(f"the key it names can't be read: {error}") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise Untrusted("the key it names is none on an elliptic curve")
    return key
