"""What models and their data answer for, as functions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daedal.evaluation.cards import Card
    from daedal.evaluation.report import Report


# -- data and cards ----------------------------------------------------------------------------------------------------


def audit_data(
    source: str | Path,
    kind: str | None = None,
    *,
    out: str | Path | None = None,
    progress: Callable[[str, float, float | None], None] | None = None,
) -> "Report":
    """What data hold that a model should not learn, or that makes it lean: personal data, secrets, licences, copies, imbalance.

    Args:
        source: a data folder, or whatever `build_data` reads.
        kind: of example that files hold; seen from them unless given.
        out: a folder for the report; the data folder unless given, and none for files.

    Raises:
        DaedalError: there is nothing that can be read.
    """
    from daedal.evaluation.data_audit import audit_data as look

    return look(source, kind, out=out, progress=progress)


def card(folder: str | Path) -> "Card":
    """The card of a run or of a data folder, with what was measured of its risks since; written as `README.md` and `card.json`.

    Raises:
        DaedalError: the folder is neither, or the model was not measured yet.
    """
    from daedal.evaluation.cards import write_card

    return write_card(Path(folder))
