"""`daedal ask`: a prompt with variables, put to a model on this machine or behind a URL."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.marking import text_mark
from daedal.cli.options import Switch, texts_by_name
from daedal.cli.remote import Remote, remote, use_threads_for
from daedal.errors import DaedalError


def ask(
    model: str,
    /,
    *,
    prompt: Path | None = None,
    text: str | None = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    schema: Path | None = None,
    n: Annotated[int, Parameter(alias="-n")] = 1,
    chat: Switch = False,
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    no_watermark: Switch = False,
    endpoint: Remote = None,
    json: Switch = False,
) -> None:
    """Put a prompt to a model, and print what it says. What values say is never a template, a turn or a special token.

    Parameters
    ----------
    model
        A run folder, the id of a model on the Hugging Face Hub, or the URL of an API, with #MODEL where it serves several.
    prompt
        A file: a text with {{ variables }}, under YAML front matter that may say of what types they are; lines # system, # user
        and # assistant begin turns.
    text
        A prompt itself, in which nothing is a variable.
    set
        NAME=VALUE, several times: the values of variables.
    schema
        A file with a JSON schema that answers must match.
    n
        How many answers to ask for.
    chat
        Put a prompt without turns as a message of a user.
    temperature
        0, greedy, unless given here or in the prompt's file.
    max_tokens
        Of an answer at most; 256 unless given here or in the prompt's file.
    seed
        The same seed, model and prompt give the same answers on the same machine.
    no_watermark
        Leave out the watermark of this installation, which sampled answers of a model on this machine carry.
    json
        Print answers and where they come from as JSON.
    """
    if (prompt is None) == (text is None):
        raise DaedalError("There is no prompt, or there are two", "Give --prompt FILE or --text TEXT")
    values = texts_by_name(set or ())
    from daedal.prompting.address import is_url

    mark = None if is_url(model) else text_mark(no_watermark, 1.0 if temperature is None else temperature)
    from daedal import api

    use_threads_for(model)
    with console.progress() as progress:
        asked = api.ask(
            model,
            prompt if prompt is not None else None,
            values,
            text=text,
            schema=schema,
            n=n,
            chat=chat,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            progress=lambda done, total: progress("asking", done, total),
            watermark=mark,
            **remote(endpoint),
        )
    if json:
        console.show_json(asked)
    else:
        for number, reply in enumerate(asked.replies, 1):
            if n > 1:
                console.write(f"-- {number}\n")
            console.write(reply.text + "\n")
            if reply.finish_reason != "stop":
                console.note(f"Answer {number} ended by {reply.finish_reason}.")
        if asked.used:
            console.note(f"{asked.used}.")
    if not asked.valid:
        wrong = asked.matches.count(False)
        raise DaedalError(f"{wrong} of {n} answers do not match the schema", "Allow more --max-tokens, or simplify it")
