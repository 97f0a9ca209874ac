"""What a model answers for, as functions."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daedal.evaluation.report import Report
    from daedal.inference.generator import Generator
    from daedal.prompting.respondent import Respondent


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
