"""A model signed by a workflow of GitHub Actions, as `actions/attest` does it: by its identity, without a key that anybody keeps.

Sigstore (https://docs.sigstore.dev) gives a job a certificate that names its repository, branch and workflow and holds for ten
minutes; a transparency log or a timestamp authority signs when it was used. Whom of them to believe is in `signers/*.jsonl`.
Not looked at, beside what sigstore-python does: whether the certificate itself was logged, which private repositories' are not.
"""

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from pushline.signing.bundle import Bundle, Untrusted, verify_signature
from pushline.signing.signers import GithubSigner, Signers

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

ISSUER = "https://token.actions.githubusercontent.com"
# https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
FULCIO = "1.3.6.1.4.1.57264.1."
ISSUED_BY, REPOSITORY, REF, WORKFLOW = "8", "12", "14", "18"


def verify_certificate(bundle: Bundle, signers: Signers) -> None:
    """Raises Untrusted where no workflow that `signers` names has signed the bundle."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import load_der_x509_certificate

    wanted, roots = signers.github, trusted_roots(signers)
    if wanted is None or not roots:
        raise Untrusted(f"a workflow signed it, and {signers.folder} names none (`pushline bootstrap github` writes that)")
    try:
        certificate = load_der_x509_certificate(bundle.verification_material.certificate.raw_bytes)  # type: ignore[union-attr]
        key = certificate.public_key()
        # 1. Somebody who is believed says when it was signed: a certificate that was stolen later is of no use.
        times = [*logged(bundle, certificate, roots), *stamped(bundle, roots)]
        if not times:
            raise Untrusted("nobody who is trusted says when it was signed")
        # 2. An authority that is believed gave the certificate, and it was valid at that time.
        for time in times:
            refuse_unknown_authority(certificate, roots, time)
        # 3. It was given to a workflow of this repository on its branch: others get certificates there too.
        refuse_other_identity(certificate, wanted)
    except (ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise Untrusted(f"its certificate or what proves its time can't be read: {error}") from error
    # 4. Who holds the certificate signed this manifest.
    if not isinstance(key, EllipticCurvePublicKey):
        raise Untrusted("its certificate is for no key on an elliptic curve")
    verify_signature(bundle.dsse_envelope, key)


def trusted_roots(signers: Signers) -> list[dict[str, Any]]:
    """Sigstore's trusted roots, one a line, as `gh attestation trusted-root` writes them."""
    lines = [line for file in sorted(signers.folder.glob("*.jsonl")) for line in file.read_bytes().splitlines() if line.strip()]
    return [msgspec.json.decode(line) for line in lines]


def logged(bundle: Bundle, certificate: "Certificate", roots: list[dict[str, Any]]) -> Iterator[datetime]:
    """When a transparency log promised to hold this very signature."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

    envelope = bundle.dsse_envelope
    ours = {
        "payload": hashlib.sha256(envelope.payload).hexdigest(),
        "signature": base64.b64encode(envelope.signatures[0].sig).decode(),
        "verifier": base64.b64encode(certificate.public_bytes(Encoding.PEM)).decode(),
    }
    logs = {log["logId"]["keyId"]: log for root in roots for log in root.get("tlogs", ())}
    for entry in bundle.verification_material.tlog_entries:
        promise, log = entry.get("inclusionPromise"), logs.get(entry["logId"]["keyId"])
        if not promise or log is None:
            continue
        spec = msgspec.json.decode(base64.b64decode(entry["canonicalizedBody"]))["spec"]
        held = {"payload": spec["payloadHash"]["value"], **{name: spec["signatures"][0][name] for name in ("signature", "verifier")}}
        if held != ours:
            raise Untrusted("the log's entry is of another signature")
        time = int(entry["integratedTime"])
        log_id = base64.b64decode(entry["logId"]["keyId"]).hex()
        said = {"body": entry["canonicalizedBody"], "integratedTime": time, "logID": log_id, "logIndex": int(entry["logIndex"])}
        key = load_der_public_key(base64.b64decode(log["publicKey"]["rawBytes"]))
        try:
            if isinstance(key, EllipticCurvePublicKey):
                key.verify(base64.b64decode(promise["signedEntryTimestamp"]), msgspec.json.encode(said), ECDSA(SHA256()))
                yield datetime.fromtimestamp(time, UTC)
        except InvalidSignature as error:
            raise Untrusted("the log did not promise to hold this signature") from error


def stamped(bundle: Bundle, roots: list[dict[str, Any]]) -> Iterator[datetime]:
    """When a timestamp authority saw this very signature."""
    stamps = (bundle.verification_material.timestamp_verification_data or {}).get("rfc3161Timestamps", ())
    if not stamps:
        return
    from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

    for stamp in stamps:
        response = decode_timestamp_response(base64.b64decode(stamp["signedTimestamp"]))
        for authority, (signer, *others) in authorities(roots, "timestampAuthorities"):
            builder = VerifierBuilder().tsa_certificate(signer).add_root_certificate(others[-1])
            for other in others[:-1]:
                builder = builder.add_intermediate_certificate(other)
            try:
                builder.build().verify_message(response, bundle.dsse_envelope.signatures[0].sig)
            except VerificationError:
                continue
            time = response.tst_info.gen_time
            if within(authority, time):
                yield time


def authorities(roots: list[dict[str, Any]], kind: str) -> Iterator[tuple[dict[str, Any], list["Certificate"]]]:
    """The authorities of the roots with their certificates, the outermost last."""
    from cryptography.x509 import load_der_x509_certificate

    for root in roots:
        for authority in root.get(kind, ()):
            chain = [base64.b64decode(one["rawBytes"]) for one in authority["certChain"]["certificates"]]
            yield authority, [load_der_x509_certificate(one) for one in chain]


def within(authority: dict[str, Any], time: datetime) -> bool:
    valid = authority.get("validFor") or {}
    start, end = (datetime.fromisoformat(valid[edge]) if edge in valid else time for edge in ("start", "end"))
    return start <= time <= end


def refuse_unknown_authority(certificate: "Certificate", roots: list[dict[str, Any]], time: datetime) -> None:
    from cryptography.x509 import ExtendedKeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID
    from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

    given_for = certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value
    if ExtendedKeyUsageOID.CODE_SIGNING not in given_for:
        raise Untrusted("its certificate is not for signing code")
    said = {"ca_policy": ExtensionPolicy.webpki_defaults_ca(), "ee_policy": ExtensionPolicy.webpki_defaults_ee()}
    policies = {name: policy.may_be_present(ExtendedKeyUsage, Criticality.NON_CRITICAL, None) for name, policy in said.items()}
    for authority, chain in authorities(roots, "certificateAuthorities"):
        if not within(authority, time):
            continue
        verifier = PolicyBuilder().store(Store(chain)).time(time).extension_policies(**policies).build_client_verifier()
        try:
            verifier.verify(certificate, [])
        except VerificationError:
            continue
        return
    raise Untrusted(f"no authority that is trusted gave its certificate, or it was not valid on {time:%Y-%m-%d %H:%M}")


def refuse_other_identity(certificate: "Certificate", wanted: GithubSigner) -> None:
    said = {one.oid.dotted_string.removeprefix(FULCIO): one.value.public_bytes() for one in certificate.extensions}
    seen = {name: utf8(said[name]) for name in (ISSUED_BY, REPOSITORY, REF, WORKFLOW) if name in said}
    if seen.get(ISSUED_BY) != ISSUER:
        raise Untrusted(f"its certificate was not given to a job of GitHub Actions ({seen.get(ISSUED_BY)})")
    home = f"https://github.com/{wanted.repository}"
    if seen.get(REPOSITORY) != home:
        raise Untrusted(f"it was trained in the repository {seen.get(REPOSITORY)}, not in {home}")
    if seen.get(REF) != f"refs/heads/{wanted.branch}":
        raise Untrusted(f"it was trained on {seen.get(REF)}, not on the branch {wanted.branch}")
    workflow = seen.get(WORKFLOW, "")
    if workflow not in {f"{home}/.github/workflows/{name}@refs/heads/{wanted.branch}" for name in wanted.workflows}:
        raise Untrusted(f"it was signed by another workflow ({workflow.removeprefix(home)}), not by {' or '.join(wanted.workflows)}")


def utf8(der: bytes) -> str:
    """The text in a DER string."""
    length = der[1] & 0x7F if der[1] & 0x80 else 0
    return der[2 + length :].decode()
