"""`daedal chat`: a conversation in the terminal, streamed; from a pipe, one message a line."""

import sys
from collections.abc import Iterator

from daedal.cli.console import note, write
from daedal.cli.sampling import LogitBias, Sampling, sampling
from daedal.inference.sampling import Quantize

_HELP = "/reset forgets the conversation, /exit or Ctrl-D ends it, Ctrl-C stops an answer."


def chat(
    model: str,
    /,
    *,
    system: str | None = None,
    quantize: Quantize | None = None,
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
    logit_bias
        ID=BIAS, several times: added to the logit of a token; -100 bans it.
    """
    how = sampling(options, logit_bias)
    from daedal import api

    api.use_fastest_threads()
    generator = api.load(model, quantize=quantize)
    stream = generator.stream_chat  # refused in one line, before anything is read
    opening = [{"role": "system", "content": system}] if system else []
    messages = list(opening)
    if sys.stdin.isatty():
        note(_HELP)
    for line in _lines():
        match line.strip():
            case "":
                continue
            case "/exit":
                return
            case "/help":
                note(_HELP)
            case "/reset":
                messages = list(opening)
                note("The conversation is forgotten.")
            case command if command.startswith("/") and " " not in command:
                note(f"There is no {command}. {_HELP}")
            case message:
                messages.append({"role": "user", "content": message})
                answer = _answer(stream(messages, **how))
                messages.append({"role": "assistant", "content": answer})


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
