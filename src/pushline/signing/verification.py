"""The steps before a model folder is taken, each with what a forger fails at. Offline, and no byte of a graph is parsed."""

import os
from pathlib import Path

import msgspec

from pushline.errors import NotTrusted
from pushline.project import Project
from pushline.signing.bundle import Bundle, Untrusted, fingerprint, read_bundle, verify_signature
from pushline.signing.manifest import PREDICATE, SIGNATURE, STATEMENT, Statement, digest_of, digests_of
from pushline.signing.signers import Signers, branch_of, public_key, repository_of


def verify(
    folder: Path,
    signers: Signers,
    *,
    digest: str = "",
    repository: str | None = None,
    branch: str | None = None,
    any_key: bool = False,
) -> Statement:
    """The manifest of a folder that somebody in `signers` has signed and that is still what they signed.

    `digest`, `repository` and `branch` say what it has to be of, as far as they are given. With `any_key` the key may be
    one that nobody has named: then only what changed since it was signed is found. Raises NotTrusted, saying what is wrong.
    """
    try:
        # 1. Somebody signed it. Whoever strips the signature ends here.
        try:
            bundle = read_bundle((folder / SIGNATURE).read_bytes())
        except OSError as error:
            raise Untrusted(f"it has no signature ({SIGNATURE}: {error.strerror})") from error
        # 2. Somebody who is trusted: a key of theirs is another one, and so is the identity of their workflow.
        # 3. It is this manifest that was signed: not a word of it can be changed.
        statement = signed_by(bundle, signers, any_key=any_key)
        # 4. Of this repository and branch, and the one that was approved: not another that is as well signed.
        refuse_other(statement, digest=digest, repository=repository, branch=branch)
        # 5. Every file is the one in the manifest, none is missing, and none was added.
        refuse_changes(statement, folder)
    except Untrusted as refused:
        raise NotTrusted(
            f"The model folder {folder} is not taken.",
            why=f"{str(refused)[0].upper()}{str(refused)[1:]}.",
            do="Train and register it again. Where this version was made before models were signed, look at it, and `pushline registry "
            "sign VERSION` signs it with this machine's key.",
        ) from refused
    return statement


def trusted(folder: Path, project: Project) -> Statement:
    """The manifest of a folder that may be released from this checkout: signed by whom it trusts, trained in it and on its branch.

    In a job of GitHub Actions of a repository without attestations, the key was made by an earlier job and is gone: who left the
    folder is known from GitHub's own record of that run (`github/runs.py`), and the key says that nothing changed since.
    """
    signers = Signers(project.signers)
    here = {"repository": repository_of(project.root), "branch": branch_of(project.root)}
    vouched = os.environ.get("GITHUB_ACTIONS") == "true" and not (signers.github and signers.github.attestations)
    statement = verify(folder, signers, any_key=vouched, **here)
    if vouched and fingerprint(statement.origin.key) not in signers.keys:
        signers.add(statement.origin.key)  # of this checkout, for the service that it starts
    return statement


def manifest_of(folder: Path) -> str:
    """The digest that a folder says was signed; empty where it has no signature. Nothing is verified."""
    try:
        return read_statement(read_bundle((folder / SIGNATURE).read_bytes()).dsse_envelope.payload).digest
    except (OSError, Untrusted):
        return ""


def signed_by(bundle: Bundle, signers: Signers, *, any_key: bool = False) -> Statement:
    """What the bundle says, where who signed it is trusted. Raises Untrusted."""
    envelope, material = bundle.dsse_envelope, bundle.verification_material
    if material.certificate is not None:
        from pushline.signing.keyless import verify_certificate

        verify_certificate(bundle, signers)
        return read_statement(envelope.payload)
    hint = material.public_key.hint if material.public_key else ""
    if any_key and hint not in signers.keys:
        verify_signature(envelope, public_key(read_statement(envelope.payload).origin.key))
    else:
        verify_signature(envelope, signers.key(hint))
    return read_statement(envelope.payload)


def read_statement(payload: bytes) -> Statement:
    try:
        statement = msgspec.json.decode(payload, type=Statement)
        whole = digest_of(statement.predicate.resources) == statement.digest
    except (msgspec.DecodeError, ValueError) as error:
        raise Untrusted(f"its manifest can't be read: {error}") from error
    if (statement.type_, statement.predicate_type) != (STATEMENT, PREDICATE) or not whole:
        raise Untrusted(f"its manifest is of another kind or not whole ({statement.predicate_type})")
    return statement


def refuse_other(statement: Statement, *, digest: str, repository: str | None, branch: str | None) -> None:
    origin = statement.origin
    if repository and origin.repository not in ("", repository):
        raise Untrusted(f"it was trained in the repository {origin.repository}, not in {repository}")
    if branch is not None and origin.branch != branch:
        raise Untrusted(f"it was trained on {on(origin.branch)}, and this is {on(branch)}")
    if digest and statement.digest != digest:
        raise Untrusted(f"it is signed, but it is another version: its digest is {statement.digest[:12]}, approved was {digest[:12]}")


def on(branch: str) -> str:
    return f"the branch {branch}" if branch else "no branch"


def refuse_changes(statement: Statement, folder: Path) -> None:
    signed = {resource.name: resource.digest for resource in statement.predicate.resources}
    try:
        found = digests_of(folder)
    except OSError as error:
        raise Untrusted(f"its {error.filename} can't be read: {error.strerror}") from error
    for name in sorted({*signed, *found}):
        if name not in found:
            raise Untrusted(f"its {name} is missing")
        if name not in signed:
            raise Untrusted(f"its {name} was added after it was signed")
        if signed[name] != found[name]:
            raise Untrusted(f"its {name} is not the file that was signed")
