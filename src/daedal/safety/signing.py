"""Signatures inside of files, as C2PA has them (`c2pa-python`): what is said of an artifact, bound to its very bytes, and how
it is read again.

Nothing of it asks the network: no time stamp, no revocation list, no remote manifest. There is no thumbnail: a manifest takes
about 4 KB. What was signed by this installation is told from what somebody else signed by the root of the certificate alone.
"""

import io
import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.safety.certificates import SigningCertificate, own_certificate, own_root, read_certificate
from daedal.safety.claim import Claim

SIGNED = frozenset(
    (
        "image/png", "image/jpeg", "image/webp", "image/gif", "image/tiff",
        "audio/wav", "audio/flac", "audio/mpeg", "video/mp4",
    )
)  # fmt: skip
"""Types of content that hold a signature; beside others a statement is written (`daedal.safety.sidecar`)."""
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED, COMPOSITE = f"{_SOURCES}trainedAlgorithmicMedia", f"{_SOURCES}compositeWithTrainedAlgorithmicMedia"
"""What C2PA calls what a model made, and what it made of something given."""
_CLAIMED, _TRAINED = "daedal.generation", "daedal.training"
"""Labels of our own assertions."""
_MOST = 2**23
"""Bytes of a manifest as JSON that is looked at."""
_UNTRUSTED = {"signingCredential.untrusted"}
_TRUSTED = {"signingCredential.trusted", "claimSignature.validated"}
"""The certificate is below an anchor, and its key has signed: a chain alone can be copied from any file."""
_EXPIRED = {"signingCredential.expired", "claimSignature.outsideValidity"}
_FORMAL = ("assertion.action.", "assertion.cloud-data.", "assertion.metadata.", "ingredient.", "timeStamp.")
"""Faults of how a manifest is written: what was signed fits all the same."""
_SHOWN = 200
"""Characters of what a stranger's file says."""

State = Literal["none", "whole", "changed", "expired", "unreadable"]
Signatory = Literal["this installation", "trusted", "somebody else"]


class SignatureFinding(Config):
    """What a signature says, and whether it fits.

    Attributes:
        state: `none` where there is none; `whole` where nothing was changed since; `changed` where something was;
            `expired` where the certificate was not valid when it was read; `unreadable` where it is no signature at all.
        by: who signed: this installation, one whose root the reader was told to trust, or somebody else.
        issuer: what the certificate calls the signer; anybody can write anything there, unless it is trusted.
        generator: the program that is said to have written it.
        generated: whether it is said to be the work of a model.
        claim: what Daedal said of it, where Daedal did.
        made: when it is said to have been made.
        how: where the signature is: in the file, or beside it.
        note: why it does not fit.
    """

    state: State
    by: Signatory | None = None
    issuer: str | None = None
    generator: str | None = None
    generated: bool = False
    claim: Claim | None = None
    made: str | None = None
    how: Literal["C2PA", "statement"] = "C2PA"
    note: str | None = None


class Signer:
    """Signs files. It may be used from any thread.

    Raises:
        DaedalError: the certificate is none that C2PA signs with.
    """

    def __init__(self, certificate: SigningCertificate) -> None:
        self.certificate = certificate

    @classmethod
    def own(cls) -> "Signer":
        """That of this installation.

        Raises:
            DaedalError: the installation's folder cannot be read or written, or its certificate is damaged.
        """
        return cls(own_certificate())

    @classmethod
    def chosen(cls, certificate: Path | None) -> "Signer":
        """That of a person's own certificate, in a PEM file, or of this installation where none is named.

        Raises:
            DaedalError: the certificate is not what it must be.
        """
        return cls.own() if certificate is None else cls(read_certificate(certificate))

    def __repr__(self) -> str:
        return f"<a signer, {self.certificate.name}>"

    def sign(self, data: bytes, media_type: str, claim: Claim) -> bytes:
        """The file with a manifest that says where it comes from.

        Raises:
            DaedalError: its type of content holds none, or it cannot be signed.
        """
        import c2pa

        if media_type not in SIGNED:
            raise DaedalError(f"{media_type} holds no signature", f"Choose one of {', '.join(sorted(SIGNED))}")
        signed = io.BytesIO()
        try:
            c2pa.Builder(_manifest(claim), self._context).sign(self._signer, media_type, io.BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise DaedalError(f"It cannot be signed ({_said(error)})", "Write it unsigned") from None
        return signed.getvalue()

    @cached_property
    def _context(self) -> Any:
        return _context(None)

    @cached_property
    def _signer(self) -> Any:
        import c2pa

        algorithm = self.certificate.algorithm.lower().replace("eddsa", "ed25519")
        info = c2pa.C2paSignerInfo(algorithm.encode(), self.certificate.pem, self.certificate.private_pem, None)
        try:
            return c2pa.Signer.from_info(info)
        except c2pa.C2paError as error:
            raise DaedalError(
                f"{self.certificate.name}: nothing can be signed with this certificate ({_said(error)})", "Give another"
            ) from None


def read_signature(data: bytes, media_type: str, anchors: bytes = b"") -> SignatureFinding:
    """The signature of a file, whoever made it.

    Args:
        anchors: roots of certificates that are to be trusted, in PEM.

    Raises:
        DaedalError: the installation's own certificate is damaged.
    """
    own = own_root()
    found = _read(data, media_type, own, "this installation")
    if anchors and found.by == "somebody else":
        found = _read(data, media_type, anchors, "trusted")
    return found


def _read(data: bytes, media_type: str, anchors: bytes | None, whose: Signatory) -> SignatureFinding:
    """What a file's signature says; `whose` it is where its certificate is below an anchor."""
    import c2pa

    try:
        with c2pa.Reader(media_type, io.BytesIO(data), context=_context(anchors)) as reader:
            text = reader.json()
        if len(text) > _MOST:
            return SignatureFinding(state="unreadable", note="its manifest is larger than any that is honest")
        return _found(json.loads(text), whose)
    except c2pa.C2paError.ManifestNotFound:
        return SignatureFinding(state="none")
    except c2pa.C2paError as error:
        if media_type not in SIGNED and isinstance(error, c2pa.C2paError.NotSupported):
            return SignatureFinding(state="none")
        if _said(error).startswith("Remote"):
            return SignatureFinding(state="none", note="its manifest lies elsewhere, and is not fetched")
        return SignatureFinding(state="unreadable", note=_said(error))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return SignatureFinding(state="unreadable", note="its manifest is not as C2PA has it")


# -- the manifest ------------------------------------------------------------------------------------------------------


def _manifest(claim: Claim) -> dict[str, Any]:
    agent = {"name": "Daedal", "version": claim.version}
    kind = COMPOSITE if claim.composite else GENERATED
    created = {"action": "c2pa.created", "digitalSourceType": kind, "when": claim.made, "softwareAgent": agent}
    assertions: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}]
    if claim.mark is not None:
        block = {"scope": {}, "value": claim.id[:8]}
        assertions.append({"label": "c2pa.soft-binding", "data": {"alg": f"daedal.{claim.mark}", "blocks": [block]}})
    told = claim.model_dump(mode="json", exclude={"training"}, exclude_none=True)
    assertions.append({"label": _CLAIMED, "data": told})
    if claim.training:
        assertions.append({"label": _TRAINED, "data": {"licences": list(claim.training)}})
    return {"claim_generator_info": [agent], "assertions": assertions}


def _context(anchors: bytes | None) -> Any:
    """How to sign and to read; certificates below an anchor are trusted."""
    import c2pa

    settings: dict[str, Any] = {
        "version": 1,
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if anchors:
        settings["trust"] = {"user_anchors": anchors.decode("ascii")}
    return c2pa.Context.from_dict(settings)


# -- what is read ------------------------------------------------------------------------------------------------------


def _found(store: dict[str, Any], whose: Signatory) -> SignatureFinding:
    active = store["manifests"][store["active_manifest"]]
    results = store.get("validation_results", {}).get("activeManifest", {})
    faults = {code: why for code, why in _codes(results, "failure").items() if code not in _UNTRUSTED}
    trusted = _codes(results, "success").keys() >= _TRUSTED
    own = trusted and whose == "this installation"  # which is written without a fault
    real = {code for code in faults if own or not code.startswith(_FORMAL)}
    state: State = "whole" if not real else "expired" if real <= _EXPIRED else "changed"
    info = active.get("signature_info", {})
    generators = active.get("claim_generator_info") or [{}]
    assertions = {each["label"]: each.get("data") for each in active.get("assertions", ())}
    actions = [
        each for label, data in assertions.items() if label.startswith("c2pa.actions") for each in _actions(data)
    ]
    created = next((each for each in actions if each.get("action") == "c2pa.created"), {})
    return SignatureFinding(
        state=state,
        by=whose if trusted else "somebody else",
        issuer=str(info.get("issuer") or info.get("common_name") or "a certificate without a name")[:_SHOWN],
        generator=str(generators[0].get("name") or "")[:_SHOWN] or None,
        generated=any(each.get("digitalSourceType") in (GENERATED, COMPOSITE) for each in actions),
        claim=_claim(assertions.get(_CLAIMED), assertions.get(_TRAINED)),
        made=str(created.get("when") or info.get("time") or "")[:40] or None,
        note="; ".join(dict.fromkeys(faults.values()))[:_SHOWN] or None,
    )


def _codes(results: dict[str, Any], kind: str) -> dict[str, str]:
    """Codes of what was looked at, and what is said of each."""
    return {str(each["code"]): str(each.get("explanation") or each["code"]) for each in results.get(kind, ())}


def _actions(data: Any) -> list[dict[str, Any]]:
    actions = data.get("actions") if isinstance(data, dict) else None
    return [each for each in actions if isinstance(each, dict)] if isinstance(actions, list) else []


def _claim(said: Any, training: Any) -> Claim | None:
    """What Daedal said of it; None where another program wrote something of that label."""
    if not isinstance(said, dict):
        return None
    licences = training.get("licences") if isinstance(training, dict) else None
    known = [str(each)[:_SHOWN] for each in licences[:100]] if isinstance(licences, list) else []
    try:
        return Claim.parse({**said, "training": tuple(known)}, "claim")
    except DaedalError:
        return None


def _said(error: Exception) -> str:
    """What went wrong, in a line of bounded length."""
    return " ".join(str(error).split())[:_SHOWN] or type(error).__name__
