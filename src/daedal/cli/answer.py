"""`daedal answer`: what a text says to a question, by an answerer."""

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.texts import Quantize, open_texts
from daedal.errors import DaedalError


def answer(
    run: str,
    questions: Annotated[list[str], Parameter(name="QUESTION", negative=())],
    /,
    *,
    context: str,
    top: int = 1,
    quantize: Quantize | None = None,
    json: Switch = False,
) -> None:
    """Find in a text what answers a question, with an answerer.

    Parameters
    ----------
    run
        A run folder of an answerer, or the id of one on the Hugging Face Hub.
    questions
        The questions.
    context
        The file of the text, or the text itself.
    top
        How many answers to show, the likeliest first.
    quantize
        int8: weights of eight bits, sooner at a small loss of quality.
    json
        Print everything as JSON.
    """
    generator, text = open_texts(run, "answer", quantize), _text(context)
    found = [generator.answer(question, text, top=top) for question in questions]
    if json:
        console.show_json([
            {"question": question, "answers": [one.model_dump(mode="json") for one in each]}
            for question, each in zip(questions, found, strict=True)
        ])  # fmt: skip
        return
    for question, each in zip(questions, found, strict=True):
        lines = [f"{'(no answer in the text)' if one.none else one.text}  {one.probability:.1%}" for one in each]
        console.show("\n".join([question, *(f"  {line}" for line in lines)] if len(questions) > 1 else lines))


def _text(context: str) -> str:
    """What a context is: the text of a file, or itself."""
    path = Path(context)
    try:
        if "\n" in context or len(context) > 255 or not path.is_file():
            if re.fullmatch(r"\S*(/\S*|\.[A-Za-z]\w{1,4})", context, re.ASCII):
                raise DaedalError(f"There is no file {context}", "Check its name")
            if len(context) < 256 and path.exists():
                raise DaedalError(f"{context} is no file", "Name a file of UTF-8 text")
            return context
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DaedalError(f"{context[:100]} cannot be read as text ({error})", "Name a file of UTF-8 text") from None
