"""`daedal distil`: answers of another model as training data."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.remote import Remote, remote, use_threads_for


def distil(
    model: str,
    /,
    *,
    prompts: Path,
    out: Path,
    licence: str | None = None,
    system: str | None = None,
    n: Annotated[int, Parameter(alias="-n")] = 1,
    temperature: float = 0.0,
    max_tokens: int = 512,
    seed: int = 0,
    replace: Switch = False,
    endpoint: Remote = None,
    json: Switch = False,
) -> None:
    """Ask a model, and build a data folder of conversations of its answers, with where they come from. A stopped run goes on:
    answers are kept as they come.

    Parameters
    ----------
    model
        A run folder, the id of a model on the Hugging Face Hub, or the URL of an API, with #MODEL where it serves several.
    prompts
        A file: JSON Lines with a prompt or messages, or a prompt a line.
    out
        The data folder; the conversations themselves are beside it, in OUT.jsonl.
    licence
        Of the answers, as the terms of the model say; noted in the data.
    system
        What the model is told before each prompt; the data has it too.
    n
        Answers to each prompt.
    temperature
        0 is greedy; several answers to a prompt want more.
    max_tokens
        Of an answer, at most; those that are cut are left out.
    seed
        The same seed, model and prompts give the same answers on the same machine.
    replace
        Write over data that was built otherwise.
    json
        Print what was asked and kept as JSON.
    """
    from daedal import api

    use_threads_for(model)
    with console.progress() as progress:
        found = api.distil(
            model,
            prompts,
            out,
            licence=licence,
            system=system or "",
            n=n,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            replace=replace,
            progress=lambda stage, done, total: progress(stage, done, total),
            **remote(endpoint),
        )
    if json:
        console.show_json(found)
        return
    left = "".join(f", {count:,} {why}" for why, count in found.left_out.items())
    console.show(f"{found.data}: {found.kept:,} of {found.asked:,} answers of {found.model}{left}.")
    if found.used:
        console.note(f"{found.used}.")
