"""POST /v1/completions: texts that go on, with all that evaluation harnesses read of a prompt's own log-probabilities."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving import sse
from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import Head, json_answer, usage
from daedal.serving.chunks import DONE, TextChunks
from daedal.serving.errors import ApiError, parse, shown
from daedal.serving.generation import (
    Events,
    Generated,
    Sample,
    check_ids,
    check_size,
    collect,
    generate,
    merged,
    together,
)
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.logprobs import CompletionLogprobs, echoed
from daedal.serving.schema.completions import MAX_SEQUENCES, CompletionRequest, Prompt
from daedal.serving.statements import stated
from daedal.serving.supervisor import Model


async def completions(request: Request) -> Response:
    """`n` texts for each prompt."""
    body = parse(CompletionRequest, await read_json(request))
    model = await able(request, body.model, "generate")
    if body.suffix and "infill" not in model.info["can"]:
        raise ApiError(
            400, f"The model '{shown(model.name)}' was not trained to fill a gap: leave the suffix out", param="suffix",
            code="unsupported_parameter",
        )  # fmt: skip
    if len(body.prompts) * body.samples > MAX_SEQUENCES:
        message = f"{len(body.prompts)} prompts of {body.samples} texts are more than {MAX_SEQUENCES} texts"
        raise ApiError(400, message, param="n" if body.best_of is None else "best_of", code="invalid_value")
    check_ids(model, "prompt", *(prompt for prompt in body.prompts if not isinstance(prompt, str)))
    check_ids(model, "logit_bias", map(int, body.logit_bias))
    asker = owner(request)
    commands = [command(body, prompt) for prompt in body.prompts]
    if not body.stream:
        check_size(model, commands)
    streams = [generate(request, model, asked) for asked in commands]
    head = Head.new("cmpl-", body.model, model.info)
    echoes = [""] * len(body.prompts)
    if body.echo:
        echoes = await unless_gone(request, together([_echo(model, asker, prompt) for prompt in body.prompts]))
    if body.stream:
        chunks = TextChunks(head, body.stream_options.include_usage)
        return sse.stream(request, _chunks(streams, body, echoes, chunks))
    made = await unless_gone(request, together([collect(stream, body.samples) for stream in streams]))
    if body.logprobs is None:
        told = answer(made, body, echoes, head)
        choices = told["choices"]
        return json_answer(told, headers=stated(request, model, choices[0]["text"] if len(choices) == 1 else None))
    return await asyncio.to_thread(lambda: json_answer(answer(made, body, echoes, head)))  # of long prompts, large


def as_prompt(prompt: Prompt) -> dict[str, Any]:
    """As the wire has it."""
    return {"text": prompt} if isinstance(prompt, str) else {"ids": prompt}


async def _echo(model: Model, asker: str, prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    return str((await model.ask("detokenize", asker, ids=prompt))["text"])


def command(body: CompletionRequest, prompt: Prompt) -> dict[str, Any]:
    """The fields of the wire's `generate`."""
    best = body.samples > body.n
    logprobs = 0 if best and body.logprobs is None else body.logprobs
    reads = body.echo and (body.logprobs is not None or body.max_tokens == 0)
    between = {"suffix": body.suffix} if body.suffix else {}
    return {
        "prompt": as_prompt(prompt) | between,
        "n": body.samples,
        "options": {**body.sampling(), "max_tokens": body.max_tokens, "logprobs": logprobs},
        "constraint": None,
        "echo": (body.logprobs or 0) if reads else None,
        "min_tokens": body.min_tokens,
    }


def answer(made: Sequence[Generated], body: CompletionRequest, echoes: Sequence[str], head: Head) -> dict[str, Any]:
    """The whole completion: of each prompt, the `n` best texts."""
    choices: list[dict[str, Any]] = []
    for generated, echo in zip(made, echoes, strict=True):
        samples = generated.samples
        if body.samples > body.n:
            samples = sorted(samples, key=lambda sample: -sample.mean_logprob)[: body.n]
        first = len(choices)
        choices.extend(
            {
                "index": first + place,
                "text": echo + sample.text,
                "logprobs": _logprobs(generated, sample, body, len(echo)),
                "finish_reason": sample.finish_reason,
            }
            for place, sample in enumerate(samples)
        )
    return {
        **head.fields("text_completion"),
        "choices": choices,
        "usage": _total(made),
    }


def _logprobs(generated: Generated, sample: Sample, body: CompletionRequest, echo: int) -> dict[str, Any] | None:
    if body.logprobs is None:
        return None
    if not body.echo:
        return CompletionLogprobs(body.logprobs).add(sample.tokens)
    before = echoed(generated.prompt, body.logprobs, echo)
    after = CompletionLogprobs(body.logprobs, echo).add(sample.tokens)
    return {name: before[name] + after[name] for name in before}


async def _chunks(
    streams: Sequence[Events], body: CompletionRequest, echoes: Sequence[str], chunks: TextChunks
) -> AsyncIterator[bytes]:
    """The stream. Choice `i * n + j` is the j-th text of the i-th prompt."""
    made = [Generated.of(body.n) for _ in streams]
    top = body.logprobs
    written = [[CompletionLogprobs(top or 0, len(echo)) for _ in range(body.n)] for echo in echoes]
    async with aclosing(merged(streams)) as events:
        async for number, event in events:
            kind, first = event["event"], number * body.n
            if kind == "text":
                index = event["index"]
                made[number].samples[index].count += event["count"]
                tokens = event.get("tokens")
                if event["text"] or tokens:
                    logprobs = written[number][index].add(tokens) if top is not None and tokens else None
                    yield chunks.text(first + index, event["text"], logprobs)
                continue
            made[number].take(event)
            if kind == "prompt" and top is not None:
                logprobs = echoed(event["tokens"], top, len(echoes[number]))
                for index in range(body.n):
                    yield chunks.text(first + index, echoes[number], logprobs)
            elif kind == "started" and body.echo and top is None:
                for index in range(body.n):
                    yield chunks.text(first + index, echoes[number])
            elif kind == "finished":
                sample = made[number].samples[event["index"]]
                yield chunks.finish(first + event["index"], sample.finish_reason)
    if body.stream_options.include_usage:
        yield chunks.usage(_total(made))
    yield DONE


def _total(made: Sequence[Generated]) -> dict[str, Any]:
    return usage(
        sum(one.prompt_tokens for one in made), sum(one.cached_tokens for one in made), sum(one.written for one in made)
    )


routes = [Route("/v1/completions", completions, methods=["POST"])]
