"""`daedal translate`: texts in another language or form, by a translator."""

from pathlib import Path
from typing import Any, Literal

from daedal.cli.options import Switch
from daedal.cli.texts import Quantize, TextFile, Texts, answer, open_texts, read


def translate(
    run: str,
    texts: Texts = None,
    /,
    *,
    file: TextFile = None,
    field: str = "text",
    out: Path | None = None,
    beams: int = 4,
    length_penalty: float = 1.0,
    max_tokens: int | None = None,
    method: Literal["beam", "sample", "mbr"] = "beam",
    temperature: float = 1.0,
    seed: int = 0,
    quantize: Quantize | None = None,
    json: Switch = False,
) -> None:
    """Write texts in another language, or whatever form of them the model learned.

    Parameters
    ----------
    run
        A run folder of a translator, or the id of one on the Hugging Face Hub.
    texts
        The texts.
    file
        A file of texts: a line each, CSV, TSV or JSON Lines; - for standard input.
    field
        The name of the texts in JSON Lines, or of their column in CSV and TSV.
    out
        A file to write: .jsonl with scores, anything else a translation a line.
    beams
        How many beginnings are kept; 1 takes the likeliest token each time.
    length_penalty
        More favours longer translations.
    max_tokens
        Tokens of the longest translation of a line. [default: as many as the model's context]
    method
        beam: the likeliest that is found; sample: drawn as the model finds them likely; mbr: of several that are drawn the one
        that the others agree with most.
    temperature
        Of sample and mbr.
    seed
        Of sample and mbr.
    quantize
        int8: weights of eight bits, sooner at a small loss of quality.
    json
        Print everything as JSON.
    """
    generator = open_texts(run, "translate", quantize)
    how: dict[str, Any] = {
        "beams": beams, "length_penalty": length_penalty, "max_tokens": max_tokens, "method": method,
        "temperature": temperature, "seed": seed,
    }  # fmt: skip

    def plain(found: Any) -> str:
        return str(found.text)

    given = read(texts, file, field, out)
    answer(given, lambda some: generator.translate(some, **how), plain, out, json, False)
