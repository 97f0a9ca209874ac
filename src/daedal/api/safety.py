"""What makes generated things recognisable, as functions: keys and marks of this installation, and who made what."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daedal.evaluation.verification.evidence import Verification
    from daedal.safety.ledger import Purge
    from daedal.safety.mark_finding import MarkFinding
    from daedal.safety.text_marks.text_mark import TextMark
    from daedal.safety.watermark_keys import WatermarkKey


# -- watermarks ----------------------------------------------------------------------------------------------------------


def watermark_keys() -> "list[WatermarkKey]":
    """The keys of this installation's watermarks, the newest first, which marks; none where nothing was marked yet.

    Raises:
        DaedalError: they cannot be read.
    """
    from daedal.safety.watermark_keys import watermark_keys as known

    return known()


def new_watermark_key() -> "WatermarkKey":
    """Make a key that marks from now on; what older ones marked is still found.

    Raises:
        DaedalError: the installation's folder cannot be written.
    """
    from daedal.safety.watermark_keys import new_watermark_key as new

    return new()


def text_mark() -> "TextMark":
    """What sampled text is marked with: `load(...).generate(..., watermark=text_mark())`. A key is made where there is none.

    Raises:
        DaedalError: the installation's folder cannot be read or written.
    """
    from daedal.safety.text_marks.text_mark import TextMark
    from daedal.safety.watermark_keys import watermark_key

    return TextMark(watermark_key())


def find_text_mark(text: str, run_or_hub_id: str | Path) -> "list[MarkFinding]":
    """Whether a text carries a mark of this installation: what is found of each scheme and key, the most certain first.

    Args:
        run_or_hub_id: a model with the tokenizer that the text was written with; nothing else of it is read.

    Raises:
        DaedalError: there is no such tokenizer, or the keys cannot be read.
    """
    from daedal.codecs.text import TextCodec
    from daedal.models.checkpoint import resolve
    from daedal.safety.text_marks.detection import find_text_mark as find

    return find(text, watermark_keys(), TextCodec.load(resolve(run_or_hub_id)))


# -- provenance --------------------------------------------------------------------------------------------------------


def verify(
    given: str | Path,
    *,
    model: str | Path | None = None,
    detector: str | Path | None = None,
    trust: str | Path | None = None,
) -> "Verification":
    """Who made a picture, a sound, a video, a tune or a text, whether it is whole, and how sure that is.

    Args:
        given: a file, or a text.
        model: a run whose tokenizer may have written a text.
        detector: a folder of a calibrated detector of generated text.
        trust: a PEM file of certificates whose signatures are to be trusted.

    Raises:
        DaedalError: there is no such file, it is nothing that is recognised or damaged, or a text of a few words.
    """
    from daedal.evaluation.verification.artifact import Artifact
    from daedal.evaluation.verification.verdict import verify as judge
    from daedal.safety.certificates import read_anchors

    anchors = b"" if trust is None else read_anchors(Path(trust))
    return judge(
        Artifact.of(given),
        runs=None if model is None else [model],
        detector=None if detector is None else Path(detector),
        anchors=anchors,
    )


def check_ledger() -> tuple[int, str]:
    """How many rows the ledger of this installation has, and the last link of its chain.

    Raises:
        DaedalError: something in it was changed, or it cannot be read.
    """
    from daedal.safety.ledger import Ledger

    ledger = Ledger()
    return ledger.check(), ledger.head


def purge_ledger(key: str) -> "Purge":
    """Take out of the ledger what a key of a server asked for; its chain stays whole.

    Args:
        key: its name.

    Raises:
        DaedalError: the ledger cannot be written, or is damaged.
    """
    from daedal.safety.ledger import Ledger

    return Ledger().purge(key)
