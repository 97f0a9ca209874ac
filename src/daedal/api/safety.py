"""What was made, by whom, and whether it may be, as functions: verify, and what belongs to it."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daedal.evaluation.verification.evidence import Verification
    from daedal.safety.ledger import Purge


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
