"""What models and their data answer for, as functions: audits, cards, bias."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daedal.evaluation.cards import Card
    from daedal.evaluation.report import Report
    from daedal.inference.generator import Generator
    from daedal.prompting.respondent import Respondent


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


def bias(
    model: "str | Path | Generator | Respondent",
    *,
    out: str | Path | None = None,
    remote: Mapping[str, Any] | None = None,
    progress: Callable[[float, float | None, str], None] | None = None,
    **options: Any,
) -> "Report":
    """How a model leans; see `daedal.evaluation.bias`.

    Args:
        model: a run folder, the id of a model on the Hugging Face Hub, the URL of an API that tells likelihoods, or whoever
            answers.
        out: a folder for the report, as a page and as JSON; the run folder unless given.
        remote: options of `daedal.prompting.open.open_respondent`, for a URL.
        options: those of `daedal.evaluation.bias.measure.BiasOptions`.

    Raises:
        DaedalError: there is no such model, a file makes no sense, or the model cannot be asked for it.
    """
    from daedal.api.models import load
    from daedal.evaluation.bias.measure import BiasOptions, measure_bias
    from daedal.prompting.address import is_url
    from daedal.prompting.open import open_respondent

    chosen = BiasOptions.parse(options, "bias")
    folder = Path(model) if isinstance(model, str | Path) and Path(model).is_dir() else None
    place = folder if out is None else Path(out)
    opened: Generator | Respondent
    if isinstance(model, str | Path):
        opened = open_respondent(str(model), **(remote or {})) if is_url(str(model)) else load(model)
    else:
        opened = model
    return measure_bias(opened, chosen, run=folder, out=place, progress=progress)
