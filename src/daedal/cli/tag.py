"""`daedal tag`: what the words of texts are, such as names of people and places, by a tagger."""

from pathlib import Path
from typing import Any

from daedal.cli.options import Switch
from daedal.cli.texts import Quantize, TextFile, Texts, answer, open_texts, read


def tag(
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
    """Find names and other marked words in texts, with a tagger.

    Parameters
    ----------
    run
        A run folder of a tagger, or the id of one on the Hugging Face Hub.
    texts
        The texts.
    file
        A file of texts: a line each, CSV, TSV or JSON Lines; - for standard input.
    field
        The name of the texts in JSON Lines, or of their column in CSV and TSV.
    out
        A file to write: .jsonl with places and probabilities, anything else what was found of a text on a line.
    quantize
        int8: weights of eight bits, sooner at a small loss of quality.
    json
        Print everything as JSON.
    """
    generator = open_texts(run, "tag", quantize)

    def plain(found: list[Any]) -> str:
        return ", ".join(f"{each.text} ({each.label})" for each in found) or "nothing found"

    answer(read(texts, file, field, out), generator.tag, plain, out, json, False)
