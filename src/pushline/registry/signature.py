"""Signatures that come after a model was logged: of a workflow's identity, or of a person who has looked at an old version."""

import shutil
from pathlib import Path

from pushline.errors import NotTrusted
from pushline.files import scratch, write_atomically
from pushline.project import Project
from pushline.registry.store import ModelStore
from pushline.results import TrainResult
from pushline.serving.model_folder import read_scoring
from pushline.signing import SIGNATURE, Signers, verify
from pushline.signing.signers import own_key, sign_model


def sign_version(project: Project, store: ModelStore, number: str) -> str:
    """Sign version `number` with this machine's key; returns the digest that it is known by from now on."""
    version, key = store.version(number), own_key(project)
    with scratch(project.state / "signed") as place:
        folder = shutil.copytree(store.download(number), place / "model")
        revision = read_scoring(folder).git_revision
        statement = sign_model(folder, project, key, name=version.name, git_revision=revision, after=int(number) - 1)
        store.add_signature(version.run_id, folder)
    return statement.digest


def keep_attestation(project: Project, store: ModelStore, trained: TrainResult, file: Path) -> str:
    """Put what `actions/attest` has signed into the model in place of the machine's own signature; returns a line for people.

    Raises NotTrusted, and leaves the model as it was, where it is not of this model or of no workflow that is trusted.
    """
    model, signers = Path(trained.model), Signers(project.signers)
    if signers.github is None or not signers.github.attestations:
        return "signers/github.json names no workflow (`pushline bootstrap github` does): the attestation stays with GitHub"
    before = (model / SIGNATURE).read_bytes()
    write_atomically(model / SIGNATURE, file.read_bytes().strip().splitlines()[-1])
    try:
        verify(model, signers, digest=trained.manifest)
    except NotTrusted:
        write_atomically(model / SIGNATURE, before)
        raise
    store.add_signature(trained.run_id, model)
    return f"signed by the workflow, manifest {trained.manifest[:12]}"
