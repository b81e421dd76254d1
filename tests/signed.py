"""A key that every project of the tests trusts, and model folders signed with it."""

from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, derive_private_key

from pushline.signing.bundle import pem_of, sign
from pushline.signing.manifest import SIGNATURE, Provenance, statement_of

KEY, STRANGER = derive_private_key(7, SECP256R1()), derive_private_key(8, SECP256R1())


def trust(folder: Path, key: EllipticCurvePrivateKey = KEY) -> Path:
    """The key's public half in a folder of signers."""
    folder.mkdir(exist_ok=True)
    (folder / "tests.pub").write_text(pem_of(key.public_key()))
    return folder


def signed(model: Path, key: EllipticCurvePrivateKey = KEY, *, repository: str = "", branch: str = "main", after: int = 0) -> Path:
    """The model folder with a signature over what it holds now, and beside it who is trusted."""
    origin = Provenance(repository=repository, branch=branch, git_revision="unknown", after=after, key=pem_of(key.public_key()))
    (model / SIGNATURE).write_bytes(sign(msgspec.json.encode(statement_of(model, model.name, origin)), key))
    trust(model.parent / "signers")
    return model
