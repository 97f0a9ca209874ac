"""What models answer for, as functions: what they give away of their training data."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daedal.evaluation.report import Report
    from daedal.inference.generator import Generator


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
