"""Statements beside files: what C2PA cannot be put into (text, MIDI, OGG, BMP) is signed in a small file of its own.

`story.txt` has `story.txt.signed.json`: a JSON Web Signature (RFC 7515, flattened) over the SHA-256 of the file and the same
claim that a manifest has, with the chain of certificates in its header (`x5c`). Any library of JOSE reads it. A server sends it
in the header `x-daedal-statement`, in the compact form.
"""

import base64
import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.files import write_json
from daedal.safety.certificates import chains_to, name_of, own_root
from daedal.safety.claim import Claim
from daedal.safety.signing import Signatory, SignatureFinding, Signer, State

HEADER = "x-daedal-statement"
_END = ".signed.json"
_TYPE = "daedal-statement+json"
_MOST = 2**18
"""Bytes of a statement."""
_LONGEST = 16
"""Certificates of a chain."""


def statement_path(path: Path) -> Path:
    """Where a file's statement lies."""
    return path.with_name(path.name + _END)


def statement(signer: Signer, data: bytes, media_type: str, claim: Claim) -> str:
    """What is said of bytes, signed: the compact form, three parts with dots between."""
    from cryptography.hazmat.primitives.serialization import Encoding

    certificate = signer.certificate
    chain = [base64.b64encode(each.public_bytes(Encoding.DER)).decode() for each in certificate.chain]
    header = {"alg": certificate.algorithm, "typ": _TYPE, "x5c": chain}
    said = {
        "sha256": hashlib.sha256(data).hexdigest(), "type": media_type,
        "claim": claim.model_dump(mode="json", exclude_none=True),
    }  # fmt: skip
    signed = f"{_encoded(header)}.{_encoded(said)}"
    return f"{signed}.{_base64(_signature(certificate.key, certificate.algorithm, signed.encode()))}"


def write_statement(path: Path, compact: str) -> Path:
    """Write the statement of a file beside it."""
    protected, payload, signature = compact.split(".")
    beside = statement_path(path)
    write_json(beside, {"payload": payload, "protected": protected, "signature": signature})
    return beside


def read_statement(content: bytes, data: bytes, anchors: bytes = b"") -> SignatureFinding:
    """What the statement beside a file says, and whether it fits the file.

    Args:
        content: of the statement: either form.
        anchors: roots of certificates that are to be trusted, in PEM.

    Raises:
        DaedalError: the installation's own certificate is damaged.
    """
    own = own_root()
    try:
        return _read(content, data, own, anchors)
    except Exception as error:  # on hostile certificates the decoder raises whatever it stumbles over
        said = error.what if isinstance(error, DaedalError) else "it is no statement, or damaged"
        return SignatureFinding(state="unreadable", how="statement", note=said)


def _read(content: bytes, data: bytes, own: bytes | None, anchors: bytes) -> SignatureFinding:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    if len(content) > _MOST:
        raise DaedalError("it is larger than any statement")
    protected, payload, signature = _parts(content)
    header, said = _decoded(protected), _decoded(payload)
    chain = tuple(x509.load_der_x509_certificate(base64.b64decode(each)) for each in header["x5c"][:_LONGEST])
    claim = Claim.parse(said["claim"], "claim")
    state: State = "whole"
    note = None
    now = datetime.datetime.now(datetime.UTC)
    try:
        _verify(chain[0].public_key(), header["alg"], _raw(signature), f"{protected}.{payload}".encode())
        by = _by(chain, own, anchors)
        if not chains_to(chain[:-1] or chain, chain[-1]):
            state, by, note = "changed", "somebody else", "its certificates are no chain"
        elif hashlib.sha256(data).hexdigest() != said["sha256"]:
            state, note = "changed", "the file is not the one that was signed"
        elif not chain[0].not_valid_before_utc <= now <= chain[0].not_valid_after_utc:
            state, note = "expired", f"its certificate was valid until {chain[0].not_valid_after_utc:%Y-%m-%d}"
    except InvalidSignature:
        state, by, note = "changed", "somebody else", "the statement itself was changed after it was signed"
    return SignatureFinding(
        state=state, by=by, issuer=name_of(chain[0])[:200], generator="Daedal", generated=True, claim=claim,
        made=claim.made, how="statement", note=note,
    )  # fmt: skip


def _by(chain: tuple[Any, ...], own: bytes | None, anchors: bytes) -> Signatory:
    from cryptography import x509

    if own is not None and chains_to(chain, x509.load_pem_x509_certificate(own)):
        return "this installation"
    roots = x509.load_pem_x509_certificates(anchors) if anchors else []
    return "trusted" if any(chains_to(chain, root) for root in roots) else "somebody else"


def _parts(content: bytes) -> tuple[str, str, str]:
    text = content.decode("ascii").strip()
    if text.startswith("{"):
        whole = json.loads(text)
        return str(whole["protected"]), str(whole["payload"]), str(whole["signature"])
    protected, payload, signature = text.split(".")
    return protected, payload, signature


# -- JOSE --------------------------------------------------------------------------------------------------------------


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _decoded(text: str) -> Any:
    return json.loads(_raw(text))


_HASHES = {"ES256": (256, 32), "ES384": (384, 48), "ES512": (512, 66)}
"""Of ECDSA: bits of the hash, and bytes of each half of a signature (RFC 7518, section 3.4)."""


def _signature(key: Any, algorithm: str, data: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if algorithm in _HASHES:
        bits, size = _HASHES[algorithm]
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(getattr(hashes, f"SHA{bits}")())))
        return bytes(r.to_bytes(size, "big") + s.to_bytes(size, "big"))
    if algorithm == "PS256":
        hash256 = hashes.SHA256()
        return bytes(key.sign(data, padding.PSS(padding.MGF1(hash256), hash256.digest_size), hash256))
    return bytes(key.sign(data))


def _verify(key: Any, algorithm: str, signature: bytes, data: bytes) -> None:
    """
    Raises:
        InvalidSignature: of `cryptography`: it does not fit.
        ValueError: there is no such algorithm, or it is none for this key.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if algorithm in _HASHES and isinstance(key, ec.EllipticCurvePublicKey):
        bits, size = _HASHES[algorithm]
        if len(signature) != 2 * size:
            raise ValueError("a signature of another length")
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(r, s), data, ec.ECDSA(getattr(hashes, f"SHA{bits}")()))
    elif algorithm == "PS256" and isinstance(key, rsa.RSAPublicKey):
        hash256 = hashes.SHA256()
        key.verify(signature, data, padding.PSS(padding.MGF1(hash256), hash256.digest_size), hash256)
    elif algorithm == "EdDSA" and isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        raise ValueError("another algorithm")
