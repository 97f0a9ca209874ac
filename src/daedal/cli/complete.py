"""`daedal complete`: what stands at a cursor in a file, by a model that learned to fill in the middle of texts."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.marking import text_mark
from daedal.cli.options import Switch
from daedal.cli.texts import Quantize

if TYPE_CHECKING:
    from daedal.inference.skills.complete import Middle

_BESIDE = 2
"""Lines that are shown before and after the filled ones."""


def complete(
    run: str,
    place: Annotated[str, Parameter(name="FILE:LINE[:COLUMN]", allow_leading_hyphen=True)],
    /,
    *,
    n: Annotated[int, Parameter(name=("-n", "--n"))] = 1,
    max_tokens: int | None = None,
    until: Literal["end", "line", "block"] = "end",
    order: Literal["psm", "spm"] | None = None,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int | None = None,
    path: str | None = None,
    quantize: Quantize | None = None,
    no_watermark: Switch = False,
    json: Switch = False,
) -> None:
    """Fill the hole at a cursor in a file, with a model that was trained with --fim.

    Parameters
    ----------
    run
        A run folder, or the id of a model on the Hugging Face Hub that has tokens for filling in.
    place
        The file and where in it the cursor stands: at the end of a line, or before a column, both counted from 1. For - the
        text is read from standard input.
    n
        How many ways to fill it; with more than one, give a --temperature.
    max_tokens
        Tokens at most. [default: 64, or half of a context that is shorter than 128]
    until
        Where to end: where the model does, with the first line, or with the block of code that is indented as far.
    order
        What the model reads first: psm what stands before the cursor, spm what stands after it. [default: spm for models
        that were trained here, psm for those of others]
    temperature
        0 always takes the likeliest token; 1 is the model's own distribution.
    top_p
        Only the fewest likeliest tokens that hold this much probability.
    seed
        The same seed gives the same text; drawn unless given.
    path
        The path of the file that the model is told. [default: that of the file]
    quantize
        int8: weights of eight bits, sooner at a small loss of quality.
    no_watermark
        Leave out the watermark of this installation, which sampled text carries and which does not change how it reads.
    json
        Print everything as JSON.
    """
    from daedal import api

    name, line, column = _place(place)
    text = sys.stdin.read() if name == "-" else _text(Path(name))
    before, after = _split(text, name, line, column)
    middles = api.complete(
        run, before, after, n, path=path or (None if name == "-" else name), until=until, order=order, quantize=quantize,
        max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed,
        watermark=text_mark(no_watermark, temperature),
    )  # fmt: skip
    if json:
        console.show_json([each.model_dump(mode="json") for each in middles])
        return
    for number, middle in enumerate(middles, 1):
        if len(middles) > 1:
            console.show(f"{number} of {len(middles)}")
        console.show(_shown(middle))
    begun, rest = middles[0].left_out
    if begun or rest:
        told = [f"the first {begun:,}" if begun else "", f"the last {rest:,}" if rest else ""]
        console.note(f"The context was too short for {' and '.join(filter(None, told))} characters of the file")


def _place(place: str) -> tuple[str, int, int | None]:
    """The file, the line and the column of `FILE:LINE[:COLUMN]`; a Windows drive is part of the file."""
    from daedal.errors import DaedalError

    name, _, last = place.rpartition(":")
    before, _, line = name.rpartition(":")
    if before and _counts(line) and _counts(last):
        return before, int(line), int(last)
    if name and _counts(last):
        return name, int(last), None
    raise DaedalError(f"{place!r:.200} names no line of a file", "Write it as FILE:LINE or FILE:LINE:COLUMN, from 1")


def _counts(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0


def _text(path: Path) -> str:
    from daedal.errors import DaedalError
    from daedal.files import regular_size

    try:
        if regular_size(path) > _LARGEST:
            raise DaedalError(f"{path} has more than {_LARGEST // 2**20} MiB", "Name a smaller file")
        with path.open(encoding="utf-8", newline="") as file:  # ends of lines stay as they are
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DaedalError(f"{path} cannot be read as text ({error})", "Name a file of UTF-8 text") from None
    if "\0" in text:
        raise DaedalError(f"{path} is no text: it has zero bytes", "Name a file of UTF-8 text")
    return text


_LARGEST = 64 * 2**20


def _split(text: str, name: str, line: int, column: int | None) -> tuple[str, str]:
    """What stands before the cursor, and what after it."""
    from daedal.errors import DaedalError

    lines = text.split("\n")
    said = "The text" if name == "-" else name
    if line > len(lines):
        raise DaedalError(
            f"{said} has {len(lines):,} line{'s' * (len(lines) != 1)}, and no line {line:,}", "Name another line"
        )
    here = lines[line - 1].removesuffix("\r")
    if column is not None and column > len(here) + 1:
        raise DaedalError(
            f"Line {line:,} of {said} has {len(here):,} characters, and no column {column:,}", "Name another column"
        )
    cursor = sum(len(each) + 1 for each in lines[: line - 1]) + (len(here) if column is None else column - 1)
    return text[:cursor], text[cursor:]


def _shown(middle: "Middle") -> str:
    """The filled lines with those around them, each under its number; « and » stand around what was filled in."""
    marked = f"{middle.before}«{middle.text}»{middle.after}".split("\n")
    first = middle.before.count("\n")
    last = first + middle.text.count("\n")
    begin, end = max(0, first - _BESIDE), min(len(marked), last + 1 + _BESIDE)
    width = len(str(end))
    return "\n".join(f"{number + 1:>{width}} | {marked[number]}".rstrip() for number in range(begin, end))
