"""`daedal moderate`: which texts moderation flags, and what it refuses that it need not."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.texts import TextFile, Texts, read
from daedal.errors import DaedalError
from daedal.printable import printable

if TYPE_CHECKING:
    from daedal.safety.moderation.verdict import Verdict


def moderate(
    run_or_text: Texts = None,
    /,
    *,
    classifier: str | None = None,
    map: Annotated[list[str], Parameter(negative=())] | None = None,
    rules: Path | None = None,
    threshold: float = 0.5,
    file: TextFile = None,
    field: str = "text",
    samples: int = 100,
    seed: int = 0,
    out: Path | None = None,
    json: Switch = False,
) -> None:
    """Say which texts moderation flags, and why; or, of a run, how many harmless prompts it refuses, and how many of
    the model's texts it flags.

    Parameters
    ----------
    run_or_text
        Texts; or a run folder of a language model or of a classifier, which is measured.
    classifier
        A run folder of a classifier that judges, or the id of one on the Hugging Face Hub.
    map
        LABEL=CATEGORY, several times: the category of one of its labels, where the name does not say it.
    rules
        A YAML file of words and patterns by category, or builtin. [default: builtin, without a classifier]
    threshold
        The probability from which on a text is of a category, by the classifier.
    file
        A file of texts: a line each, CSV, TSV or JSON Lines; - for standard input.
    field
        The name of the texts in JSON Lines, or of their column in CSV and TSV.
    samples
        Texts that a run writes from nothing, where it holds no conversations.
    seed
        Of what it writes.
    out
        A folder for the report of a run, as a page and as JSON.
    json
        Print everything as JSON.
    """
    from daedal import api
    from daedal.api import measure_moderation
    from daedal.api import moderate as judge

    chosen: dict[str, Any] = {
        "classifier": classifier,
        "labels": _labels(map or []),
        "rules": rules,
        "threshold": threshold,
    }
    given = run_or_text or []
    if (named := next(filter(os.path.isfile, given), None)) is not None:
        raise DaedalError(f"{named} is a file", f"Have the texts in it judged by --file {named}")
    if len(given) == 1 and file is None and _is_run(given[0]):
        from daedal.evaluation.terminal import render

        if samples < 1:
            raise DaedalError(f"--samples is {samples}", "Ask for at least one")
        api.use_fastest_threads()
        with console.progress() as progress:
            report = measure_moderation(given[0], samples=samples, seed=seed, out=out, progress=progress, **chosen)
        console.show_json(report) if json else console.show(render(report))
        return
    if out is not None:
        raise DaedalError("--out is for the report of a run", "Leave it out, or name a run folder")
    texts = read(run_or_text, file, field)
    verdicts = judge(texts, **chosen)
    if json:
        console.show_json([{"text": text, **each.model_dump()} for text, each in zip(texts, verdicts, strict=True)])
        return
    for text, verdict in zip(texts, verdicts, strict=True):
        console.show(_line(verdict) + (f"  {' '.join(text.split())}" if len(texts) > 1 else ""))


def _is_run(text: str) -> bool:
    """Whether a run is meant, and not a text.

    Raises:
        DaedalError: it looks like a path, and no run is there: a text that was not meant would pass.
    """
    if os.path.isfile(os.path.join(text, "config.json")):
        return True
    if os.path.isdir(text) or ("/" in text and not any(map(str.isspace, text))):
        raise DaedalError(
            f"{text} is no run folder", "Name one, or put a text that looks like a path into a file: --file"
        )
    return False


def _line(verdict: "Verdict") -> str:
    if not verdict.flagged:
        return "passes"
    told = [
        f"{printable(each.category)} ({each.found!r})" if each.by == "rule" else f"{each.category} ({each.score:.1%})"
        for each in verdict.reasons
    ]
    return f"flagged: {', '.join(told)}"


def _labels(given: list[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for text in given:
        label, _, category = text.rpartition("=")
        if not label or not category:
            raise DaedalError(f"{text!r} maps no label", "Write it as LABEL=CATEGORY, such as rude=harassment")
        labels[label] = category
    return labels
