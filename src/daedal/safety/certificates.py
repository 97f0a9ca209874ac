"""The certificate that this installation signs with: a chain of its own, made once, or one that a person was given.

Our own is a root and a leaf below it (X.509, RFC 5280; ECDSA on P-256). It names nobody: its subject is a number drawn by lot,
which tells what is signed here from what others sign, and nothing else. The leaf has what C2PA asks of a signer: the key usage
digitalSignature and the extended use emailProtection. When it nears its end the root signs another.

The private keys lie in one file of the installation's folder, which only the owner may read; no text form shows them.
"""

import datetime
import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.errors import DaedalError
from daedal.files import read_bytes
from daedal.safety.installation import installation, keep_secret, secret

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_FILE = "signing.pem"
_YEARS_OF_ROOT, _YEARS_OF_LEAF = 40, 10
"""Nothing here asks a time stamp authority, so that a signature is worth as long as its certificate."""
_RENEWED = datetime.timedelta(days=90)
_LARGEST = 2**20
"""Bytes of a file of certificates."""
_MOST = 16
"""Certificates of a chain."""


@dataclass(frozen=True)
class SigningCertificate:
    """A private key and the certificates that speak for it.

    Attributes:
        key: of the first certificate; a private key of `cryptography`.
        chain: the signer's own first, each signed by the next.
    """

    key: Any = field(repr=False)
    chain: "tuple[Certificate, ...]"

    @property
    def name(self) -> str:
        """Whom the certificate speaks for."""
        return name_of(self.chain[0])

    @property
    def algorithm(self) -> str:
        """How the key signs, as JOSE calls it (RFC 7518): ES256, ES384, ES512, PS256 or EdDSA."""
        return _algorithm(self.key)

    @property
    def pem(self) -> bytes:
        """The chain, without the key."""
        return b"".join(map(_pem, self.chain))

    @property
    def private_pem(self) -> bytes:
        """The key alone, for whoever signs."""
        return _private(self.key)


_SIGNS_DOCUMENTS = {"1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.311.76.59.1.9", "1.3.6.1.4.1.62558.2.1"}
"""Extended uses with which C2PA lets a certificate sign: emailProtection, documentSigning, and C2PA's own."""


def own_certificate() -> SigningCertificate:
    """The installation's own; it is made where there is none, and renewed from the root near its end.

    Raises:
        DaedalError: the installation's folder cannot be read or written, or the file in it is damaged.
    """
    content = secret(_FILE)
    if content is None:
        content = keep_secret(_FILE, _made())
    leaf_key, root_key, chain = _own(content)
    if chain[0].not_valid_after_utc - _now() < _RENEWED:
        leaf_key, leaf = _leaf(root_key, chain[1])
        chain = (leaf, chain[1])
        keep_secret(_FILE, _written(leaf_key, root_key, chain), replace=True)
    return SigningCertificate(leaf_key, chain)


def own_root() -> bytes | None:
    """The root of the installation's own certificates, in PEM; None where nothing was signed yet.

    Raises:
        DaedalError: the file cannot be read, or is damaged.
    """
    content = secret(_FILE)
    return None if content is None else _pem(_own(content)[2][-1])


def read_certificate(path: Path) -> SigningCertificate:
    """A certificate that a person was given: one PEM file that holds its private key and the chain, the signer's own first.

    Raises:
        DaedalError: it cannot be read, holds no key or no chain, the two do not belong together, or it is not valid now. What
            the file holds is never told.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = read_bytes(path, _LARGEST)
    try:
        chain = tuple(x509.load_pem_x509_certificates(content))
    except ValueError:
        raise DaedalError(
            f"{path} holds no certificate", "Give a PEM file with the chain and its private key"
        ) from None
    try:
        key = load_pem_private_key(_first_key(content), None)
    except (ValueError, TypeError):
        raise DaedalError(
            f"{path} holds no private key that can be read",
            "Give a PEM file with the chain and its private key, without a passphrase",
        ) from None
    certificate = SigningCertificate(key, chain)
    try:
        known = certificate.algorithm
    except DaedalError as error:
        raise DaedalError(f"{path}: {error.what}", error.fix) from None
    _check_chain(str(path), chain)
    if _public(chain[0].public_key()) != _public(key.public_key()):
        raise DaedalError(
            f"{path}: the private key does not belong to the first certificate",
            "Put the signer's own certificate first, and its key into the same file",
        )
    _check_dates(str(path), chain[0])
    _check_use(str(path), chain[0], known)
    return certificate


def read_anchors(path: Path) -> bytes:
    """Certificates whose signatures a person trusts, in PEM.

    Raises:
        DaedalError: the file cannot be read, or holds none.
    """
    from cryptography import x509

    try:
        return b"".join(map(_pem, x509.load_pem_x509_certificates(read_bytes(path, _LARGEST))))
    except ValueError:
        raise DaedalError(f"{path} holds no certificate", "Give certificates in PEM") from None


def name_of(certificate: "Certificate") -> str:
    """Whom a certificate speaks for: the organisation, else the common name."""
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(kind):
            return str(attribute.value)
    return "a certificate without a name"


def chains_to(chain: "Sequence[Certificate]", root: "Certificate") -> bool:
    """Whether each certificate was issued by the next, which may issue some, and the last by the root or is it."""
    from cryptography import x509

    links = [*chain, root] if chain[-1] != root else list(chain)
    try:
        for below, above in itertools.pairwise(links):
            below.verify_directly_issued_by(above)
            if below != above and not above.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                return False
    except Exception:  # whatever is odd of a stranger's certificate, it does not chain
        return False
    return True


# -- our own chain -----------------------------------------------------------------------------------------------------


def _made() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    root_key = ec.generate_private_key(ec.SECP256R1())
    name = f"Daedal installation {secrets.token_hex(4)}"
    root = _signed(name, "root", root_key.public_key(), None, root_key, _YEARS_OF_ROOT)
    leaf_key, leaf = _leaf(root_key, root)
    return _written(leaf_key, root_key, (leaf, root))


def _leaf(root_key: Any, root: "Certificate") -> "tuple[Any, Certificate]":
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    return key, _signed(name_of(root), "signer", key.public_key(), root, root_key, _YEARS_OF_LEAF)


def _signed(
    name: str, role: str, public: Any, issuer: "Certificate | None", issuer_key: Any, years: int
) -> "Certificate":
    """A certificate of a role; a root signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {role}"),
        ]
    )
    above = subject if issuer is None else issuer.subject
    began = _now() - datetime.timedelta(hours=1)  # clocks differ
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    of_root = issuer is None
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + datetime.timedelta(days=365 * years))
        .add_extension(x509.BasicConstraints(of_root, 0 if of_root else None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not of_root, key_cert_sign=of_root, crl_sign=of_root, **usage),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not of_root:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return made.sign(issuer_key, hashes.SHA256())


def _written(leaf_key: Any, root_key: Any, chain: "tuple[Certificate, ...]") -> bytes:
    return _private(leaf_key) + _private(root_key) + b"".join(map(_pem, chain))


def _own(content: bytes) -> "tuple[Any, Any, tuple[Certificate, ...]]":
    """The leaf's key, the root's, and the chain."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        leaf_key, root_key = (load_pem_private_key(part, None) for part in _keys(content))
        chain = tuple(x509.load_pem_x509_certificates(content))
        leaf, root = chain
        whole = chains_to((leaf,), root) and _public(leaf.public_key()) == _public(leaf_key.public_key())
    except (ValueError, TypeError):
        whole = False
    if not whole:
        raise DaedalError(
            f"{installation() / _FILE} is damaged", "Bring it back from a copy, or move it away: a new one is made"
        )
    return leaf_key, root_key, chain


# -- PEM ---------------------------------------------------------------------------------------------------------------


def _keys(content: bytes) -> list[bytes]:
    """The private keys of a PEM file, each as a file of its own."""
    end = b" PRIVATE KEY-----"
    keys: list[list[bytes]] = []
    inside = False
    for line in content.splitlines():
        if line.startswith(b"-----BEGIN ") and line.rstrip().endswith((end, b"-----BEGIN PRIVATE KEY-----")):
            keys.append([])
            inside = True
        if inside:
            keys[-1].append(line)
        if inside and line.startswith(b"-----END "):
            inside = False
    return [b"\n".join(lines) + b"\n" for lines in keys]


def _first_key(content: bytes) -> bytes:
    return next(iter(_keys(content)), b"")


def _pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _private(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    written: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return written


def _public(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    written: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return written


def _algorithm(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "PS256"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    raise DaedalError("C2PA signs with no key of this kind", "Use P-256, P-384, P-521, Ed25519, or RSA of 2,048 bits")


_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


# -- what a given one must be ------------------------------------------------------------------------------------------


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _check_chain(where: str, chain: "tuple[Certificate, ...]") -> None:
    if len(chain) > _MOST:
        raise DaedalError(f"{where} holds {len(chain)} certificates", f"Give one chain, of at most {_MOST}")
    if not chains_to(chain[:-1] or chain, chain[-1]):
        raise DaedalError(
            f"{where}: the certificates are no chain",
            "Order them from the signer's own, each before the one that signed it",
        )


def _check_dates(where: str, certificate: "Certificate") -> None:
    if certificate.not_valid_after_utc < _now():
        raise DaedalError(
            f"{where}: the certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}",
            "Renew it, or leave it out",
        )
    if certificate.not_valid_before_utc > _now():
        raise DaedalError(
            f"{where}: the certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on",
            "Wait, or set the clock of this machine",
        )


def _check_use(where: str, certificate: "Certificate", algorithm: str) -> None:
    """C2PA refuses signers of other uses; better said before anything is made."""
    from cryptography import x509

    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound as missing:
        if missing.oid != x509.OID_BASIC_CONSTRAINTS:
            raise DaedalError(
                f"{where}: the certificate does not say what it may be used for",
                "C2PA asks for the key usage digitalSignature and the extended use emailProtection or documentSigning",
            ) from None
        authority = False
    if authority or not usage.digital_signature or not {each.dotted_string for each in purposes} & _SIGNS_DOCUMENTS:
        raise DaedalError(
            f"{where}: the certificate may not sign documents",
            "C2PA asks for the key usage digitalSignature and the extended use emailProtection or documentSigning",
        )
