"""Signing a model folder with this machine's key, which is made on first use."""

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pushline.errors import SettingsError
from pushline.files import write_atomically
from pushline.progress import Progress, silent
from pushline.project import Project
from pushline.signing.bundle import fingerprint, pem_of, sign
from pushline.signing.manifest import SIGNATURE, Provenance, Statement, statement_of
from pushline.signing.signers import Signers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

OWN = "signing.pem"  # below .pushline/


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
