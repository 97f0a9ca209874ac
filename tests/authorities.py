"""Authorities that issue certificates, in tests."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass
class Issued:
    """A certificate, its key, and who issued it."""

    key: Any
    certificate: x509.Certificate
    issuer: "Issued | None"
    days: tuple[float, float] = (-1, 365)
    uses: bool = True

    @property
    def private(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def own(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain(self) -> bytes:
        return self.own + (b"" if self.issuer is None else self.issuer.chain)

    @property
    def whole(self) -> bytes:
        return self.private + self.chain

    def issue(
        self,
        name: str,
        days: tuple[float, float] = (-1, 365),
        uses: bool = True,
        authority: bool = False,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ) -> "Issued":
        """A certificate of somebody who signs, or of an authority below."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Issued(key, _certificate(name, key, self, days, uses, authority, purpose), self, days, uses)

    def with_key(self, key: Any) -> "Issued":
        """The same of another key."""
        assert self.issuer is not None
        name = str(self.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
        made = _certificate(name, key, self.issuer, self.days, self.uses, authority=False)
        return Issued(key, made, self.issuer, self.days, self.uses)

    def write(self, path: Path, key: Any = None) -> Path:
        """The PEM file of key and chain."""
        path.write_bytes((self if key is None else self.with_key(key)).whole)
        return path


class Authority(Issued):
    """A root."""

    def __init__(self, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        super().__init__(key, _certificate(name, key, None, (-100, 3650), True, authority=True), None)


def _certificate(
    name: str,
    key: Any,
    issuer: Issued | None,
    days: tuple[float, float],
    uses: bool,
    authority: bool,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name}, {'root' if authority else 'signer'}"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    above = key if issuer is None else issuer.key
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False)
    )
    if uses:
        no = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
            False,
        )  # fmt: skip
        usage = x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **no)
        made = made.add_extension(usage, critical=True)
    if uses:
        made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return made.sign(above, hashes.SHA256())
