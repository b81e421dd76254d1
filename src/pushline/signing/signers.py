"""Who may sign a model: `signers/` of the repository, so that whoever is added or removed there is reviewed like code.

signers/NAME.pub     a public key (PEM). A machine's first training makes its own, and puts this half here
signers/github.json  the workflows that may sign by their identity: {"repository": "owner/name", "branch": "main"}
signers/*.jsonl      what else than the public Sigstore is believed, as `gh attestation trusted-root` gives it
"""

import os
import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from pushline.errors import SettingsError
from pushline.files import write_atomically
from pushline.progress import Progress, silent
from pushline.project import Project
from pushline.signing.bundle import Untrusted, fingerprint, pem_of, sign
from pushline.signing.manifest import SIGNATURE, Provenance, Statement, statement_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

GITHUB = "github.json"
OWN = "signing.pem"  # below .pushline/


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


def sign_model(folder: Path, project: Project, key: "EllipticCurvePrivateKey", *, name: str, git_revision: str, after: int) -> Statement:
    """Sign a model folder as it is; `after` is the highest number of a version that the registry holds."""
    origin = Provenance(
        repository=repository_of(project.root),
        branch=branch_of(project.root),
        git_revision=git_revision,
        after=after,
        key=pem_of(key.public_key()),
    )
    statement = statement_of(folder, name, origin)
    write_atomically(folder / SIGNATURE, sign(msgspec.json.encode(statement), key))
    return statement


def own_key(project: Project, progress: Progress = silent) -> "EllipticCurvePrivateKey":
    """This machine's key, made on first use; its public half is then in `signers/` too.

    Raises SettingsError where somebody has taken it away from there, or it can't be read.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

    file, signers = project.state / OWN, Signers(project.signers)
    if not file.is_file():
        made = generate_private_key(SECP256R1())
        public = signers.add(pem_of(made.public_key())).relative_to(project.root)
        progress(f"Made this machine's key to sign models with. Commit {public}, so that its models are trusted elsewhere too.")
        write_atomically(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
        return made
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} is no key.", why=f"{error}.", do="Remove it; the next training makes another.") from error
    if not isinstance(key, EllipticCurvePrivateKey) or fingerprint(pem_of(key.public_key())) not in signers.keys:
        raise SettingsError(
            "What this machine signs would not be trusted.",
            why=f"The public half of {file} is not among {signers.folder}.",
            do=f"Restore it with git, or remove {file}: the next training makes a new key, to be reviewed with the repository.",
        )
    return key


def repository_of(root: Path) -> str:
    """owner/name of the repository, as Actions or its remote `origin` says; empty where neither does."""
    if (said := os.environ.get("GITHUB_REPOSITORY")) and os.environ.get("GITHUB_ACTIONS") == "true":
        return said
    found = re.search(r"([^/:]+/[^/]+?)(\.git)?/?$", _git(root, "config", "--get", "remote.origin.url"))
    return found[1] if found else ""


def branch_of(root: Path) -> str:
    if (said := os.environ.get("GITHUB_REF_NAME")) and os.environ.get("GITHUB_ACTIONS") == "true":
        return said
    return _git(root, "branch", "--show-current")


def _git(root: Path, *arguments: str) -> str:
    try:
        asked = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""
