"""What models and their data answer for, as functions: audits, cards, bias."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daedal.evaluation.cards import Card
    from daedal.evaluation.report import Report
    from daedal.inference.generator import Generator


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


def audit(
    run: "str | Path | Generator",
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    budget: str | float | None = None,
    seed: int = 0,
    progress: Callable[[float, float | None, str], None] | None = None,
) -> "Report":
    """What a model gives away of its training data: what it copies, what can be drawn out of it, which texts it
    betrays as learned, and under which licences they stand; see `daedal.evaluation.audit.audit`.

    Args:
        run: a run folder, the id of a model on the Hugging Face Hub, or a loaded generator.
        data: the data folder that it learned from; what its plan says unless given.
        out: a folder for the report; that of the run unless given.
        budget: about how long it may take: seconds, or a text such as "2m"; a minute unless given.

    Raises:
        DaedalError: there is no such run, its data are gone or others, or nothing audits a model of its kind.
    """
    from daedal.evaluation.audit.audit import BUDGET
    from daedal.evaluation.audit.audit import audit as measure

    return measure(run, data, out=out, budget=BUDGET if budget is None else budget, seed=seed, progress=progress)
