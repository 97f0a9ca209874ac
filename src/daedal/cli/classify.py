"""`daedal classify`: what texts are, by a classifier."""

from pathlib import Path
from typing import Any

from daedal.cli.options import Switch
from daedal.cli.texts import Quantize, TextFile, Texts, answer, open_texts, read


def classify(
    run: str,
    texts: Texts = None,
    /,
    *,
    file: TextFile = None,
    field: str = "text",
    out: Path | None = None,
    quantize: Quantize | None = None,
    json: Switch = False,
) -> None:
    """Say what texts are, with a classifier.

    Parameters
    ----------
    run
        A run folder of a classifier, or the id of one on the Hugging Face Hub.
    texts
        The texts.
    file
        A file of texts: a line each, CSV, TSV or JSON Lines; - for standard input.
    field
        The name of the texts in JSON Lines, or of their column in CSV and TSV.
    out
        A file to write: .jsonl with all probabilities, anything else the label of each on a line.
    quantize
        int8: weights of eight bits, sooner at a small loss of quality.
    json
        Print everything as JSON.
    """
    generator = open_texts(run, "classify", quantize)

    def plain(found: Any) -> str:
        if found.value is not None:
            return f"{found.value:.3f}"
        if out is not None:
            return ", ".join(found.labels)  # nothing, where a text may have several and has none
        width = max(map(len, found.probabilities)) if len(given) > 1 and len(found.labels) == 1 else 0
        said = [f"{label:<{width}}  {found.probabilities[label]:6.1%}" for label in found.labels]
        return ", ".join(said) or f"no label (the likeliest is {found.label}, {found.probability:.1%})"

    given = read(texts, file, field, out)
    answer(given, generator.classify, plain, out, json, len(given) > 1)
