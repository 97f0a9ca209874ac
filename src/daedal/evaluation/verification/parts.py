"""The parts of a verification: each looks for one thing, and says how often it is wrong."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from daedal.errors import DaedalError
from daedal.evaluation.verification.artifact import Artifact
from daedal.evaluation.verification.evidence import Part
from daedal.files import read_bytes
from daedal.printable import printable
from daedal.safety import likeness
from daedal.safety.ledger import Ledger, Match
from daedal.safety.mark_finding import MarkFinding
from daedal.safety.sidecar import read_statement, statement_path
from daedal.safety.signing import SIGNED, SignatureFinding, read_signature
from daedal.safety.watermark_keys import WatermarkKey

ALPHA = 1e-4
"""The p-value below which a watermark counts."""
_DETECTED = 0.01
_ALIKE = 12
"""Of 64 bits of a likeness, those that may differ where a watermark names the row: of strangers 32 do, and a mark can be copied
onto one."""
_LARGEST_STATEMENT = 2**20
_FEWEST_WORDS = 10
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")
"""Letters of scripts that put no spaces between words: each counts as one."""
_TOKENIZERS = 8
"""Models that the ledger knows whose tokenizers are tried."""
_PICTURES = "of strangers one pair of photographs in six million is so near, of icons one in a thousand"
_STRANGERS = {
    "picture": _PICTURES, "clip": _PICTURES, "sound": "of strangers one pair of spoken digits in forty thousand is so near",
    "text": "of strangers no pair of passages in two million is so near",
}  # fmt: skip
"""How often likenesses are no kinship, as benchmarks/provenance.py measures it."""


# -- the signature -----------------------------------------------------------------------------------------------------


def find_signature(artifact: Artifact, anchors: bytes = b"") -> SignatureFinding:
    """The signature in a file, else the statement beside it."""
    found = SignatureFinding(state="none")
    if artifact.media_type in SIGNED:
        found = read_signature(artifact.data, artifact.media_type, anchors)
    if found.state == "none" and artifact.path is not None and statement_path(artifact.path).is_file():
        try:
            content = read_bytes(statement_path(artifact.path), _LARGEST_STATEMENT)
        except DaedalError as error:
            return SignatureFinding(state="unreadable", how="statement", note=error.what)
        return read_statement(content, artifact.data, anchors)
    return found


def of_signature(found: SignatureFinding) -> Part:
    """What a signature says."""
    who = f'"{printable(found.issuer or "")}"'
    kind = "a C2PA manifest" if found.how == "C2PA" else "a statement beside it"
    why = "" if found.note is None else f" ({printable(found.note)})"
    forged = "forged only with the private key of the signer"
    anybody = "anybody can make a certificate of any name: who that is, this machine cannot know"
    match found.state, found.by:
        case "none", _:
            if found.note is not None:
                return Part(name="signature", says="not judged", told=f"Not looked at{why}", error="says nothing")
            told = "There is none. Most programs and sites take signatures out of what passes through them"
            return Part(name="signature", says="nothing", told=told, error="says nothing")
        case "unreadable", _:
            told = f"There is {kind} that cannot be read{why}"
            return Part(name="signature", says="changed", told=told, error="says nothing of who made it")
        case "whole", "this installation":
            told = f"Signed by this installation, and what it holds is unchanged since ({kind})"
            return Part(name="signature", says="made here", told=told, error=forged)
        case "whole", by:
            trusted = "whose root you trust, " if by == "trusted" else ""
            told = f"Signed by {who}, {trusted}not by this installation; what it holds is unchanged since ({kind}){why}"
            return Part(
                name="signature", says="signed by another", told=told, error=forged if by == "trusted" else anybody
            )
        case "expired", by:
            ours = by == "this installation"
            told = f"Signed by {'this installation' if ours else who}, and what it holds is unchanged since ({kind})"
            late = f"the certificate is not valid now{why}: whether it was when it signed, nobody here can know"
            return Part(name="signature", says="made here" if ours else "signed by another", told=told, error=late)
        case _, by:
            whose = "this installation" if by == "this installation" else who
            told = f"It has a signature of {whose} that does not fit: it was changed after it was signed{why}"
            return Part(
                name="signature", says="changed", told=told, error="a signature fits other bytes never by chance"
            )


# -- the watermark -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Marks:
    """What looking for watermarks gave.

    Attributes:
        best: the finding with the least p-value, which has paid for all that was tried.
        why: why nothing could be looked for.
    """

    best: MarkFinding | None
    why: str = ""

    @property
    def payload(self) -> int | None:
        """What the mark says, where it is one."""
        return self.best.payload if self.best is not None and self.found else None

    @property
    def found(self) -> bool:
        return self.best is not None and self.best.p_value is not None and self.best.p_value <= ALPHA


def find_marks(artifact: Artifact, keys: Sequence[WatermarkKey], runs: Sequence[Path | str] = ()) -> Marks:
    """The watermark of this installation's keys.

    Args:
        runs: models whose tokenizers may have written a text.

    Raises:
        DaedalError: the artifact cannot be decoded, or a run has no tokenizer.
    """
    if not keys:
        return Marks(None, "this installation has no key yet: it has marked nothing")
    match artifact.kind:
        case "picture":
            from daedal.safety.picture_mark import find_picture_mark

            return Marks(find_picture_mark(artifact.picture, keys))
        case "clip":
            from daedal.safety.clip_mark import find_clip_mark

            return Marks(find_clip_mark(artifact.pixels, keys))
        case "sound":
            from daedal.safety.sound_mark import find_sound_mark

            sound = artifact.sound
            return Marks(find_sound_mark(sound.samples, sound.rate, keys))
        case "tune":
            return Marks(None, "MIDI carries no watermark")
    if not runs:
        return Marks(None, "a text is judged by its tokens: name the model that may have written it by --model RUN")
    from daedal.codecs.text import TextCodec
    from daedal.safety.text_marks.detection import find_text_mark

    findings = [find_text_mark(artifact.text, keys, TextCodec.load(run))[0] for run in runs]  # each with its surest
    judged = [each for each in findings if each.p_value is not None]
    if not judged:
        return Marks(findings[0])
    best = min(judged, key=lambda each: each.p_value or 0.0)
    return Marks(best.model_copy(update={"p_value": min(1.0, len(runs) * (best.p_value or 0.0))}))


def of_marks(marks: Marks, bare: bool = False) -> Part:
    """What the watermark says.

    Args:
        bare: whether whoever made it says that none was put in.
    """
    best = marks.best
    if best is None:
        return Part(name="watermark", says="not judged", told=f"Not looked for: {marks.why}", error="says nothing")
    if best.p_value is None:
        told = f"Not judged: {best.note or 'there is too little of it'}"
        return Part(name="watermark", says="not judged", told=told, error="says nothing")
    measure = f"{best.judged:,} {best.unit} of {best.scheme}"
    chance = f"at most {best.p_value:.1e} of what was made without it looks so, all that was tried counted"
    if best.unit != "tokens":
        chance += "; it can be copied from one work onto another"
    if marks.found:
        where = "" if best.note is None else f", {best.note}"
        told = f"It carries the mark of this installation's key {best.key} ({measure}{where})"
        return Part(name="watermark", says="made here", told=told, error=chance, p_value=best.p_value)
    why = "Marks wear off, and other programs' marks are unknown here"
    if bare:
        why = "None was put in, says the signature: there was no room, or it was switched off"
    told = f"None of this installation's keys is found ({measure}). {why}"
    return Part(
        name="watermark",
        says="nothing",
        told=told,
        error=f"p is {best.p_value:.2g}, and counts from {ALPHA:g} down",
        p_value=best.p_value,
    )


# -- the ledger --------------------------------------------------------------------------------------------------------


def find_entries(artifact: Artifact, ledger: Ledger, payload: int | None) -> list[Match]:
    """The rows of the ledger that something fits.

    Raises:
        DaedalError: the ledger is damaged, or the artifact cannot be decoded.
    """
    bits = words = None
    match artifact.kind:
        case "picture":
            bits = likeness.of_picture(artifact.picture)
        case "clip":
            frames = artifact.frames
            bits = likeness.of_picture(frames[len(frames) // 2])
        case "sound":
            bits = likeness.of_sound(*artifact.sound)
        case "text":
            words = likeness.of_text(artifact.text)
    found = ledger.find(artifact.data, payload=payload, bits=bits, words=words)
    return [_compared(match, bits) if match.how == "watermark" else match for match in found]


def _compared(match: Match, bits: bytes | None) -> Match:
    """A row that a watermark names, with how far its likeness is; as far as any where there is none."""
    noted = match.entry.bits
    if bits is None or noted is None or len(noted) != 2 * len(bits):
        return replace(match, far=64.0)
    return replace(match, far=float(likeness.bits_apart(bits, np.frombuffer(bytes.fromhex(noted), np.uint8)[None])[0]))


def of_entries(matches: Sequence[Match], ledger: Ledger, kind: str) -> Part:
    """What the ledger says."""
    if not ledger.begun:
        return Part(
            name="ledger", says="not judged", told="Not looked for: nothing was noted here yet", error="says nothing"
        )
    if not matches:
        told = "Nothing like it is noted. What was not noted, or purged, is not in it"
        return Part(name="ledger", says="nothing", told=told, error="says nothing")
    first = matches[0]
    made = f"a {first.entry.kind} of {first.entry.made} by {printable(first.entry.model)}"
    if first.how == "bytes":
        told = f"These very bytes are noted: {made}"
        return Part(name="ledger", says="made here", told=told, error="two files have one SHA-256 never by chance")
    if first.how == "watermark":
        told = f"Its watermark says the number of what is noted as {made}"
        if first.far > _ALIKE:
            told += ", which is not like it: it was cropped or changed much, or the mark was copied"
            return Part(name="ledger", says="nothing", told=told, error="says nothing of what it shows or says")
        return Part(name="ledger", says="made here", told=told, error="one number in 4 billion, once the mark is found")
    if kind == "text":
        told = f"It shares about {1 - first.far:.0%} of its word five-grams with {made}"
    else:
        seems = "sounds" if kind == "sound" else "looks"
        told = f"It {seems} like {made}: {first.far:.0f} of 64 bits differ"
    return Part(name="ledger", says="generated", told=told, error=f"a likeness: {_STRANGERS[kind]}")


# -- the detector ------------------------------------------------------------------------------------------------------


def of_detector(artifact: Artifact, folder: Path | None) -> Part:
    """What a calibrated detector says of a text.

    Raises:
        DaedalError: there is no detector in the folder.
    """
    if artifact.kind != "text":
        return Part(name="detector", says="not judged", told="Not looked for: it reads texts", error="says nothing")
    if folder is None:
        told = "Not looked for: name one by --detector, calibrated on texts of people whom you know"
        return Part(name="detector", says="not judged", told=told, error="says nothing")
    from daedal.evaluation.detector import Detector

    found = Detector.load(folder).judge(artifact.text)
    if found.p_value is None:
        told = f"Not judged: {found.note or 'there is too little text'}"
        return Part(name="detector", says="not judged", told=told, error="says nothing")
    error = f"conformal, on {found.n_calibration:,} texts of people: {found.p_value:.2g} of texts like those look so"
    if found.p_value <= _DETECTED:
        told = "It reads like what the detector's model writes"
        return Part(name="detector", says="generated", told=told, error=error, p_value=found.p_value)
    told = "It does not read like what the detector's model writes; what other models write may not either"
    return Part(name="detector", says="nothing", told=told, error=error, p_value=found.p_value)


def tokenizers(ledger: Ledger) -> list[str]:
    """The models of texts that the ledger knows, of those that are here."""
    known = ledger.models("text") if ledger.begun else []
    return [name for name in known if (Path(name) / "tokenizer.json").is_file()][:_TOKENIZERS]


def require_enough(artifact: Artifact) -> None:
    """
    Raises:
        DaedalError: it is a text of a few words, of which nothing can be said.
    """
    text = artifact.text if artifact.kind == "text" else ""
    count = len(text.split()) + len(_UNSPACED.findall(text)) if artifact.kind == "text" else _FEWEST_WORDS
    if count < _FEWEST_WORDS:
        words = "1 word" if count == 1 else f"{count} words"
        raise DaedalError(
            f"{artifact.name} has {words}, too little to say anything of", f"Give at least {_FEWEST_WORDS} words"
        )
