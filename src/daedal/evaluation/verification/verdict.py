"""One verdict of all parts: what they say together, in the order of how sure each is, and plainly what it leaves open."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from daedal.errors import DaedalError
from daedal.evaluation.verification import parts as looked
from daedal.evaluation.verification.artifact import Artifact
from daedal.evaluation.verification.evidence import Outcome, Part, Verification
from daedal.safety.ledger import Ledger
from daedal.safety.signing import SignatureFinding
from daedal.safety.watermark_keys import watermark_keys

_OPEN = "That it was not made by a machine, nobody can conclude from this"


def verify(
    artifact: Artifact,
    *,
    runs: Sequence[Path | str] | None = None,
    detector: Path | None = None,
    anchors: bytes = b"",
    ledger: Ledger | None = None,
) -> Verification:
    """Who made something, whether it is whole, and how sure that is.

    Args:
        runs: models whose tokenizers may have written a text; those that the ledger knows unless given.
        detector: a folder of a calibrated detector of generated text.
        anchors: roots of certificates that are to be trusted, in PEM.
        ledger: of this installation unless given.

    Raises:
        DaedalError: it cannot be decoded; it is a text of a few words; or its signature is damaged, and nothing else is known.
    """
    ledger = Ledger() if ledger is None else ledger
    signature = looked.find_signature(artifact, anchors)
    signed = looked.of_signature(signature)
    exact = ledger.find(artifact.data)
    undecoded = _undecoded(artifact, certain=bool(exact) or signature.state in ("whole", "expired"))
    runs = looked.tokenizers(ledger) if runs is None and artifact.kind == "text" else runs or ()
    if undecoded is None:
        marks = looked.find_marks(artifact, watermark_keys(), runs)
        matches = looked.find_entries(artifact, ledger, marks.payload)
    else:
        marks, matches = looked.Marks(None, undecoded), exact
    noted = looked.of_entries(matches, ledger, artifact.kind)
    detected = looked.of_detector(artifact, detector)
    parts = (signed, looked.of_marks(marks, bare=artifact.kind != "text" and _bare(signature)), noted, detected)
    if not exact and signature.state == "none" and (marks.best is None or marks.best.p_value is None):
        looked.require_enough(artifact)
    outcome, told = _together(artifact.kind, signature.state, bool(exact), *parts)
    if signature.state == "unreadable" and outcome == "changed":
        raise DaedalError(
            f"{artifact.name}: {signed.told[0].lower()}{signed.told[1:]}, and nothing else is known of it",
            "Ask whoever it comes from for another copy",
        )
    return Verification(
        name=artifact.name,
        kind=artifact.kind,
        media_type=artifact.media_type,
        sha256=hashlib.sha256(artifact.data).hexdigest(),
        outcome=outcome,
        told=told,
        parts=parts,
        signature=signature,
        mark=marks.best,
        entries=tuple(match.entry for match in matches),
    )


def _bare(signature: SignatureFinding) -> bool:
    """Whether this installation says that it put no watermark in."""
    ours = signature.state == "whole" and signature.by == "this installation"
    return ours and signature.claim is not None and signature.claim.mark is None


def _undecoded(artifact: Artifact, certain: bool) -> str | None:
    """Why a file cannot be decoded; None where it can.

    Args:
        certain: whether its bytes alone say who made it.

    Raises:
        DaedalError: it cannot be decoded, and its bytes alone say nothing.
    """
    try:
        artifact.decode()
    except DaedalError as error:
        if not certain:
            raise
        return error.what
    return None


def _together(
    kind: str, state: str, exact: bool, signature: Part, watermark: Part, ledger: Part, detector: Part
) -> tuple[Outcome, str]:
    """
    Args:
        kind: of artifact.
        state: of the signature.
        exact: whether the ledger has the very bytes.
    """
    marked, noted = watermark.says == "made here", ledger.says == "made here"
    if signature.says == "made here":
        return "made here", "This installation made it, and it is as it was made"
    if signature.says == "signed by another":
        if noted or (marked and kind == "text"):
            return "signed by another", (
                "Somebody else signed it, though this installation made it: the signature says who passed it on"
            )
        return "signed by another", "Somebody else signed it as it is. Whether they say the truth, no signature tells"
    if exact:
        return "made here", "This installation made it: its very bytes are noted"
    if marked:
        gone = "its signature is gone" if state == "none" else "its signature does not fit any more"
        if noted or kind == "text":
            return "made here", f"By its watermark this installation made it, though {gone}"
        return "probably made here", (
            f"It carries the watermark of this installation, and {gone}. Nothing noted here looks or sounds like it: "
            "it was changed much, or was not noted, or the mark of something else was copied onto it"
        )
    if ledger.says == "generated":
        since = " and was changed since it was signed" if signature.says == "changed" else ""
        return "probably made here", f"It is much like something that was made here{since}. Likeness is no proof"
    if signature.says == "changed":
        told = "It is not as it was signed, or was never signed so. Who made it, nobody here can know"
        return "changed", f"{told}. {_OPEN}"
    if detector.says == "generated":
        return "probably generated", "It reads like the text of a model. Of a single text that is a hint, and no proof"
    if kind == "text" and watermark.says == "not judged":
        return (
            "unknown",
            f"Nothing was found, and no watermark looked for, so nobody here can know who made it. {_OPEN}",
        )
    return "unknown", f"Nothing was found, so nobody here can know who made it. {_OPEN}"
