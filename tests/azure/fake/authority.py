"""A throw-away certificate authority that vouches for any host name the proxy is asked for."""

import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Signs a certificate per host, on demand, into `folder`; `bundle` is what clients have to trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Loopback Azure")])
        self.certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=None), names=[])
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def seed(self, storage: Path) -> None:
        """Let a Caddy with this storage sign its internal certificates in this authority's name."""
        folder = storage / "pki" / "authorities" / "local"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "root.crt").write_bytes(self.bundle.read_bytes())
        kind = serialization.PrivateFormat.TraditionalOpenSSL
        (folder / "root.key").write_bytes(self.key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))

    def context(self, host: str) -> ssl.SSLContext:
        """A server's TLS context for `host`."""
        with self._lock:
            if host not in self._contexts:
                self._contexts[host] = self._make(host)
            return self._contexts[host]

    def _make(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:60])])
        certificate = self._sign(subject, key, x509.BasicConstraints(ca=False, path_length=None), names=[host])
        file = self.folder / f"{host}.pem"
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, constraint: x509.BasicConstraints, *, names: list[str]
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365 if constraint.ca else 30))  # Caddy wants a root that outlives its own
            .add_extension(constraint, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(_usage(constraint.ca), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
