"""`daedal compare`: two models that answer the same prompts, and which of them is preferred."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch


def compare(
    one: str,
    other: str,
    /,
    *,
    prompts: Path,
    judge: str | None = None,
    n: Annotated[int, Parameter(alias="-n")] = 100,
    answer: int = 128,
    seed: int = 0,
    out: Path | None = None,
    json: Switch = False,
) -> None:
    """Let two models answer the same prompts, and say which of them is preferred, how far they are apart, and what they say.

    Parameters
    ----------
    one
        A run folder of a language model, or the id of one on the Hugging Face Hub.
    other
        The model to compare with it: win rates are this one's, over the first.
    prompts
        A data folder of conversations or preferences, of which held-out prompts are asked, or a file: JSON Lines with a prompt
        or messages, or a prompt a line.
    judge
        What prefers: a run folder of a reward model, rule:NAME (as rule:length:80), or module:function.
    n
        How many prompts to ask, at most.
    answer
        Tokens of an answer, at most.
    seed
        The same seed, models and prompts give the same answers on the same machine.
    out
        A folder for the report: all answers, as a page and as JSON.
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.terminal import render

    api.use_fastest_threads()
    with console.progress() as progress:
        report = api.compare(
            one,
            other,
            prompts,
            judge,
            n=n,
            answer=answer,
            seed=seed,
            out=out,
            progress=lambda done, total, doing: progress("comparing", done, total, doing),
        )
    if json:
        console.show_json(report)
    else:
        console.show(render(report))
