"""A Sigstore of our own: an authority that certifies workflows, and a log that promises to hold signatures. Its keys are fixed."""

import base64
import hashlib
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pushline.signing.bundle import BUNDLE, IN_TOTO, Envelope, Signature
from pushline.signing.keyless import FULCIO, ISSUED_BY, ISSUER, REF, REPOSITORY, WORKFLOW

AUTHORITY, LOG, JOB, ROGUE = (derive_private_key(number, SECP256R1()) for number in (101, 102, 103, 104))
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sigstore of the tests")])
BEGUN, ENDS = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
WHEN = datetime(2026, 11, 2, 12, tzinfo=UTC)


def text(der: bytes) -> str:
    return base64.b64encode(der).decode()


def der_of(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def authority(key: EllipticCurvePrivateKey = AUTHORITY) -> x509.Certificate:
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = x509.CertificateBuilder(NAME, NAME, key.public_key(), 7, BEGUN, ENDS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True).add_extension(usage, True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return builder.sign(key, SHA256())


def trusted_root() -> dict[str, Any]:
    log = {"publicKey": {"rawBytes": text(der_of(LOG))}, "logId": {"keyId": text(hashlib.sha256(der_of(LOG)).digest())}}
    chain = {"certificates": [{"rawBytes": text(authority().public_bytes(Encoding.DER))}]}
    valid = {"start": BEGUN.isoformat().replace("+00:00", "Z")}
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log],
        "certificateAuthorities": [{"certChain": chain, "validFor": valid}],
    }


def certificate(
    said: dict[str, str], *, by: EllipticCurvePrivateKey = AUTHORITY, usage: x509.ObjectIdentifier, begun: datetime
) -> x509.Certificate:
    builder = x509.CertificateBuilder(NAME, x509.Name([]), JOB.public_key(), 8, begun, begun + timedelta(minutes=10))
    digital = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    builder = builder.add_extension(digital, True).add_extension(x509.ExtendedKeyUsage([usage]), False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(said[WORKFLOW])]), True)
    for number, value in said.items():
        der = bytes([12, *([len(value)] if len(value) < 128 else [0x81, len(value)])]) + value.encode()
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(FULCIO + number), der), False)
    return builder.sign(by, SHA256())


def attestation(
    payload: bytes,
    *,
    repository: str = "example/bank",
    ref: str = "refs/heads/main",
    workflow: str = "deliver.yml",
    issuer: str = ISSUER,
    by: EllipticCurvePrivateKey = AUTHORITY,
    log: EllipticCurvePrivateKey | None = LOG,
    at: datetime = WHEN + timedelta(minutes=1),
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
    begun: datetime = WHEN,
) -> dict[str, Any]:
    """The bundle that `actions/attest` leaves of a statement, in a job of that workflow."""
    home = f"https://github.com/{repository}"
    said = {ISSUED_BY: issuer, REPOSITORY: home, REF: ref, WORKFLOW: f"{home}/.github/workflows/{workflow}@{ref}"}
    proof = certificate(said, by=by, usage=usage, begun=begun)
    signed = Envelope(payload=payload, payload_type=IN_TOTO, signatures=(Signature(sig=b""),)).signed
    signature = text(JOB.sign(signed, ECDSA(SHA256())))
    entries = []
    if log is not None:
        verifier = {"signature": signature, "verifier": text(proof.public_bytes(Encoding.PEM))}
        spec = {"payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}, "signatures": [verifier]}
        body = text(json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}).encode())
        key_id, seconds = hashlib.sha256(der_of(LOG)).digest(), int(at.timestamp())
        promised = {"body": body, "integratedTime": seconds, "logID": key_id.hex(), "logIndex": 5}
        promise = log.sign(json.dumps(promised, separators=(",", ":")).encode(), ECDSA(SHA256()))
        entries = [{
            "logIndex": "5", "logId": {"keyId": text(key_id)}, "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(seconds), "inclusionPromise": {"signedEntryTimestamp": text(promise)}, "canonicalizedBody": body,
        }]  # fmt: skip
    return {
        "mediaType": BUNDLE,
        "verificationMaterial": {"certificate": {"rawBytes": text(proof.public_bytes(Encoding.DER))}, "tlogEntries": entries},
        "dsseEnvelope": {"payload": text(payload), "payloadType": IN_TOTO, "signatures": [{"sig": signature}]},
    }


class TimestampAuthority:
    """Signs the time of now under what it is shown, as RFC 3161 has it, with the openssl of this machine."""

    def __init__(self, folder: Path, openssl: str) -> None:
        folder.mkdir()
        self.folder, self.openssl, key = folder, openssl, derive_private_key(105, SECP256R1())
        stamping, name = (
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tsa")]),
        )
        digital = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = x509.CertificateBuilder(NAME, name, key.public_key(), 9, BEGUN, ENDS).add_extension(stamping, True)
        builder = builder.add_extension(digital, True).add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(AUTHORITY.public_key()), False)
        self.certificate = builder.sign(AUTHORITY, SHA256())
        (folder / "tsa.pem").write_bytes(self.certificate.public_bytes(Encoding.PEM))
        (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (folder / "serial").write_text("01\n")
        (folder / "tsa.conf").write_text(
            "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\n"
            "signer_cert = tsa.pem\nsigner_key = key.pem\n"
        )

    def stamp(self, content: bytes) -> str:
        (self.folder / "content").write_bytes(content)
        for arguments in (
            ["-query", "-data", "content", "-sha256", "-cert", "-out", "query"],
            ["-reply", "-config", "tsa.conf", "-section", "one", "-queryfile", "query", "-out", "reply"],
        ):
            subprocess.run([self.openssl, "ts", *arguments], cwd=self.folder, check=True, capture_output=True)
        return text((self.folder / "reply").read_bytes())

    def trusted_root(self) -> dict[str, Any]:
        chain = [{"rawBytes": text(one.public_bytes(Encoding.DER))} for one in (self.certificate, authority())]
        return {**trusted_root(), "tlogs": [], "timestampAuthorities": [{"certChain": {"certificates": chain}}]}
