"""One generation of the engine, as the text endpoints follow it: who asks, its events, and all of it together."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from daedal.serving.access import owner
from daedal.serving.commands import Event
from daedal.serving.errors import ApiError
from daedal.serving.held_back import held_back
from daedal.serving.moderation import CODE, Moderation, moderation, said
from daedal.serving.supervisor import Model

T = TypeVar("T")
Events = AsyncGenerator[Event]

MAX_LOGPROBS = 2**19
"""Log-probabilities of an answer in one piece, which is some 15 MB of JSON."""


@dataclass
class Sample:
    """One text that was written.

    Attributes:
        tokens: as the wire has them, if log-probabilities were asked for.
        reason: why it ended: "stop", "length", "context" or "content_filter".
        stop: the stop text that ended it.
    """

    text: str = ""
    tokens: list[dict[str, Any]] = field(default_factory=list)
    count: int = 0
    reason: str = "stop"
    stop: str | None = None

    @property
    def finish_reason(self) -> str:
        """As the OpenAI API names it: a full context is a length too."""
        return self.reason if self.reason in ("stop", CODE) else "length"

    @property
    def cut(self) -> bool:
        """Whether it was cut off, and not ended."""
        return self.reason != "stop"

    @property
    def mean_logprob(self) -> float:
        """Over the tokens; the lowest for a text without any."""
        known = [token["logprob"] for token in self.tokens if token["logprob"] is not None]
        return sum(known) / len(known) if known else float("-inf")


@dataclass
class Generated:
    """All that came of one prompt.

    Attributes:
        prompt: tokens of the prompt, if they were asked for.
    """

    samples: list[Sample]
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Note one event."""
        kind = event["event"]
        if kind == "text":
            sample = self.samples[event["index"]]
            sample.text += event["text"]
            sample.count += event["count"]
            sample.tokens.extend(event.get("tokens") or ())
        elif kind == "started":
            self.prompt_tokens, self.cached_tokens = event["prompt_tokens"], event["cached_tokens"]
        elif kind == "prompt":
            self.prompt = event["tokens"]
        elif kind == "finished":
            sample = self.samples[event["index"]]
            sample.reason, sample.stop, sample.count = event["reason"], event.get("stop"), event["tokens"]

    @property
    def written(self) -> int:
        """Tokens of all samples."""
        return sum(sample.count for sample in self.samples)

    @classmethod
    def of(cls, samples: int) -> "Generated":
        return cls([Sample() for _ in range(samples)])


def check_ids(model: Model, param: str, *lists: Iterable[int]) -> None:
    """Refuse token ids that a model does not have.

    Raises:
        ApiError: an id is not in the vocabulary.
    """
    vocab = model.info["vocab_size"]
    for ids in lists:
        if (largest := max(ids, default=0)) >= vocab:
            message = f"The model has no token {largest}: its vocabulary has {vocab:,} tokens"
            raise ApiError(400, message, param=param, code="invalid_value")


def check_size(model: Model, commands: Sequence[Mapping[str, Any]]) -> None:
    """Refuse an answer in one piece with more log-probabilities than the server should hold.

    Raises:
        ApiError: it may come to that.
    """
    context, entries = model.info["context"], 0
    for command in commands:
        prompt, options = command["prompt"], command["options"]
        tokens = command["n"] * min(options["max_tokens"] or context, context)
        if command["echo"] is not None:
            tokens += min(len(prompt.get("text") or prompt.get("ids") or ()), context)
        entries += tokens * (1 + options["logprobs"]) if options["logprobs"] is not None else 0
    if entries > MAX_LOGPROBS:
        said = (
            f"That may come to {entries:,} log-probabilities, and an answer in one piece has at most {MAX_LOGPROBS:,}"
        )
        raise ApiError(400, f"{said}: ask for less, or stream it", param="logprobs", code="invalid_value")


def generate(request: Request, model: Model, command: Mapping[str, Any]) -> Events:
    """What comes of a command, from when it is first waited for, as far as moderation lets it through. Closing it cancels the
    command."""
    asker, judge = owner(request), moderation(request)
    return _moderated(judge, model, asker, command) if judge.on else model.run("generate", asker, **command)


async def _moderated(judge: Moderation, model: Model, asker: str, command: Mapping[str, Any]) -> Events:
    await judge.require_fine(model, asker, await said(model, asker, command["prompt"]), code=CODE)
    events = model.run("generate", asker, **command)
    async with aclosing(held_back(judge, events, model.name, asker, command["n"])) as stream:
        async for event in stream:
            yield event


async def collect(events: Events, samples: int) -> Generated:
    """Everything that the events tell."""
    generated = Generated.of(samples)
    async with aclosing(events) as stream:
        async for event in stream:
            generated.take(event)
    return generated


async def together(works: Sequence[Awaitable[T]]) -> list[T]:
    """The results of works that run at the same time; the first that fails ends the others.

    Raises:
        ApiError: what that one raised.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def merged(streams: Sequence[Events]) -> AsyncGenerator[tuple[int, Event]]:
    """The events of several streams as they come, each with the number of its stream.

    A stream is not read further before what it gave has been taken, so a slow reader does not make memory grow.
    """
    if len(streams) == 1:
        async with aclosing(streams[0]) as stream:
            async for event in stream:
                yield 0, event
        return
    waiting = {asyncio.ensure_future(anext(stream, None)): number for number, stream in enumerate(streams)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                number = waiting.pop(future)
                came = future.result()
                if came is not None:
                    waiting[asyncio.ensure_future(anext(streams[number], None))] = number
                    yield number, came
    finally:
        for future in waiting:
            future.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for other in streams:
            await other.aclose()
