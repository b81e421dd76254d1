"""A signature over a manifest, as a Sigstore bundle (https://docs.sigstore.dev/about/bundle) around a DSSE envelope.

Made here with a key on the curve P-256; `actions/attest` makes the same with a certificate in the key's place.
"""

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"


class Untrusted(Exception):
    """A signature does not hold; says why."""


class Camel(Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of a bundle."""


class Signature(Camel, frozen=True, kw_only=True):
    sig: bytes
    keyid: str = ""


class Envelope(Camel, frozen=True, kw_only=True):
    payload: bytes
    payload_type: str
    signatures: tuple[Signature]  # exactly one

    @property
    def signed(self) -> bytes:
        """What the signature is over: DSSE's pre-authentication encoding."""
        return b"DSSEv1 %d %b %d %b" % (len(self.payload_type), self.payload_type.encode(), len(self.payload), self.payload)


class KeyHint(Camel, frozen=True, kw_only=True):
    hint: str = ""


class Certificate(Camel, frozen=True, kw_only=True):
    raw_bytes: bytes


class Material(Camel, frozen=True, kw_only=True):
    """What a verifier needs beside the envelope: the name of a key, or a certificate and proof of when it was used."""

    public_key: KeyHint | None = None
    certificate: Certificate | None = None
    tlog_entries: tuple[dict[str, Any], ...] = ()
    timestamp_verification_data: dict[str, Any] | None = None


class Bundle(Camel, frozen=True, kw_only=True, omit_defaults=True):
    media_type: str
    verification_material: Material
    dsse_envelope: Envelope


def read_bundle(content: bytes) -> Bundle:
    """Raises Untrusted where that is none."""
    try:
        bundle = msgspec.json.decode(content, type=Bundle)
    except msgspec.DecodeError as error:
        raise Untrusted(f"its signature can't be read: {error}") from error
    if bundle.media_type != BUNDLE or bundle.dsse_envelope.payload_type != IN_TOTO:
        raise Untrusted(f"its signature is of another kind ({bundle.media_type}, {bundle.dsse_envelope.payload_type})")
    return bundle


def sign(payload: bytes, key: "EllipticCurvePrivateKey") -> bytes:
    """The bundle of a payload signed with `key`."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    unsigned = Envelope(payload=payload, payload_type=IN_TOTO, signatures=(Signature(sig=b""),))
    envelope = msgspec.structs.replace(unsigned, signatures=(Signature(sig=key.sign(unsigned.signed, ECDSA(SHA256()))),))
    material = {"publicKey": {"hint": fingerprint(pem_of(key.public_key()))}, "tlogEntries": []}
    return msgspec.json.encode({"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope})


def verify_signature(envelope: Envelope, key: "EllipticCurvePublicKey") -> None:
    """Raises Untrusted where the envelope is not signed with the private half of `key`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256, SHA384

    try:
        key.verify(envelope.signatures[0].sig, envelope.signed, ECDSA(SHA384() if key.key_size == 384 else SHA256()))
    except InvalidSignature as error:
        raise Untrusted("its signature is not over this manifest") from error


def pem_of(key: "EllipticCurvePublicKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(pem: str) -> str:
    """The name of a key: what OpenSSF's tool calls its hint."""
    return hashlib.sha256(pem.encode()).hexdigest()
