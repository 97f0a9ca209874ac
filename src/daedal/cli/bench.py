"""`daedal bench`: how fast a model is on this machine."""

import json
import random
import urllib.request
from typing import Any

from cyclopts import App

from daedal.cli import console
from daedal.errors import DaedalError
from daedal.inference.sampling import Quantize

app = App(name="bench", help_format="plaintext")


@app.command
def serve(
    run: str,
    /,
    *,
    streams: str = "1,4,16",
    prompt_tokens: int | None = None,
    tokens: int | None = None,
    rounds: int = 3,
    quantize: Quantize | None = None,
) -> None:
    """Serve a language model, and measure how fast it answers one and many at once. The last line is JSON.

    Parameters
    ----------
    run
        A run folder, or the id of a model on the Hugging Face Hub.
    streams
        How many at once, one measurement after the other.
    prompt_tokens
        Tokens of each prompt; no two prompts are alike. 64, or a third of a small context, unless given.
    tokens
        Tokens to write. 128, or as many as the context has room for, unless given.
    rounds
        Of each measurement; the medians count.
    quantize
        As in daedal serve.
    """
    from daedal.serving.load import load, middle
    from daedal.serving.probe import trial

    counts = _counts(streams)
    if rounds < 1:
        raise DaedalError(f"--rounds {rounds} measures nothing", "Ask for at least one")
    options = [] if quantize is None else ["--quantize", quantize]
    with trial([run, *options]) as server:
        model = _ask(f"{server.url}/v1/models")["data"][0]
        if "max_model_len" not in model:
            raise DaedalError(f"{run} is no language model", "Name one that writes text")
        context = model["max_model_len"]
        prompt_tokens = min(64, max(1, context // 3)) if prompt_tokens is None else prompt_tokens
        tokens = min(128, context - prompt_tokens) if tokens is None else tokens
        if prompt_tokens < 1 or tokens < 1 or prompt_tokens + tokens > context:
            raise DaedalError(
                f"{prompt_tokens} + {tokens} tokens do not fit the model's context of {context}",
                "Ask for at least one of each, and for no more together, with --prompt-tokens and --tokens",
            )
        vocabulary = _ask(f"{server.url}/tokenizer_info?model={model['id']}")["vocab_size"]
        idle, found = server.memory(), []
        draw = random.Random(0)
        prompts = [draw.choices(range(vocabulary), k=prompt_tokens) for _ in range(max(counts) * (rounds + 1))]
        console.show(f"ready after {server.seconds:.1f} s, {idle / 2**20:,.0f} MiB")
        console.show("streams  tokens/s  first token  between tokens: median    95 %")
        for count in counts:
            extra = {"min_tokens": tokens}
            record = middle(load(server.url, model["id"], prompts, count, tokens, rounds, extra=extra))
            found.append(record)
            console.show(
                f"{count:7d}{record['tokens_per_second']:10,.1f}{1e3 * record['first_token_p50']:10.1f} ms"
                f"{1e3 * record['between_p50']:20.2f} ms{1e3 * record['between_p95']:7.2f} ms"
            )
        result = {
            "model": model["id"],
            "quantize": quantize,
            "ready_seconds": round(server.seconds, 3),
            "memory_bytes": {"idle": idle, "after": server.memory()},
            "prompt_tokens": prompt_tokens,
            "rounds": rounds,
            "streams": found,
        }
    console.show(json.dumps(result))


def _counts(streams: str) -> list[int]:
    try:
        counts = [int(part) for part in streams.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise DaedalError(f"--streams {streams!r} is no list of numbers", "Write it as 1,4,16")
    return counts


def _ask(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        told: dict[str, Any] = json.load(answer)
    return told
