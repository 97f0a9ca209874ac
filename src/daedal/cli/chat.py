"""`daedal chat`: a conversation in the terminal, streamed; from a pipe, one message a line."""

import sys
from collections.abc import Iterator
from pathlib import Path

from daedal.cli.console import note, write
from daedal.cli.marking import text_mark
from daedal.cli.options import Switch
from daedal.cli.sampling import LogitBias, Sampling, sampling
from daedal.data.votes import Votes
from daedal.inference.sampling import Quantize

_HELP = "/reset forgets the conversation, /exit or Ctrl-D ends it, Ctrl-C stops an answer."
_VOTING = "+ or /good says that the last answer is good, - or /bad that it is not."
_THUMBS = {"+": True, "/good": True, "-": False, "/bad": False}


def chat(
    model: str,
    /,
    *,
    system: str | None = None,
    quantize: Quantize | None = None,
    no_watermark: Switch = False,
    feedback: Path | None = None,
    logit_bias: LogitBias = None,
    options: Sampling = None,
) -> None:
    """Talk with a model in the terminal.

    Parameters
    ----------
    model
        A run folder, or the id of a model on the Hugging Face Hub.
    system
        What the model is told before the conversation.
    quantize
        draft: an int8 copy guesses ahead and the model checks: the same text, sooner. int8: int8 weights alone, sooner still.
    no_watermark
        Leave out the watermark of this installation, which sampled text carries and which does not change how it reads.
    feedback
        A file of JSON lines to add your votes to: + or /good after an answer, - or /bad. It is data of preferences.
    logit_bias
        ID=BIAS, several times: added to the logit of a token; -100 bans it.
    """
    how = sampling(options, logit_bias)
    from daedal import api

    votes = None if feedback is None else Votes(feedback)
    help = _HELP if votes is None else f"{_HELP} {_VOTING}"
    api.use_fastest_threads()
    generator = api.load(model, quantize=quantize)
    stream = generator.stream_chat  # refused in one line, before anything is read
    how["watermark"] = text_mark(no_watermark, how.get("temperature", 1.0))
    opening = [{"role": "system", "content": system}] if system else []
    messages = list(opening)
    if sys.stdin.isatty():
        note(help)
    judged = True  # the last answer; there is none yet
    for line in _lines():
        match line.strip():
            case "":
                continue
            case "/exit":
                return
            case "/help":
                note(help)
            case "/reset":
                messages, judged = list(opening), True
                note("The conversation is forgotten.")
            case thumb if votes is not None and thumb in _THUMBS:
                if judged:
                    note("There is no answer that you have not judged.")
                    continue
                votes.add(messages[:-1], messages[-1]["content"], _THUMBS[thumb])
                judged = True
                note(f"Kept in {votes.path}.")
            case command if command.startswith("/") and " " not in command:
                note(f"There is no {command}. {help}")
            case message:
                messages.append({"role": "user", "content": message})
                answer = _answer(stream(messages, **how))
                messages.append({"role": "assistant", "content": answer})
                judged = not answer.strip()


def _lines() -> Iterator[str]:
    """What the person writes, until the end."""
    prompt = "> " if sys.stdin.isatty() and sys.stdout.isatty() else ""
    if prompt:
        import readline  # noqa: F401  (editing and history for input)
    while True:
        try:
            yield input(prompt)
        except EOFError:
            if prompt:
                print()
            return
        except KeyboardInterrupt:
            if not prompt:
                raise
            note("")


def _answer(chunks: Iterator[object]) -> str:
    """Print an answer as it is written, and give it; Ctrl-C cuts it short."""
    said = []
    try:
        for chunk in chunks:
            text = str(getattr(chunk, "text", chunk))
            said.append(text)
            write(text)
    except KeyboardInterrupt:
        print(" [stopped]", end="")
    write("\n")
    return "".join(said)
