"""A request to the engine, the row that it becomes, and what the row gives."""

import hashlib
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.constraint import Constraint
from daedal.inference.logits import gumbel
from daedal.inference.marked_text import MarkedText
from daedal.inference.prompt_lookup import Caution
from daedal.inference.sampling import SamplingOptions
from daedal.safety.text_marks.text_mark import TextMark
from daedal.safety.text_marks.tournament import Tournament

FinishReason = Literal["stop", "length", "context"]
Logprob = tuple[float, tuple[tuple[int, float], ...]]
"""Natural log-probability of a token, and the most likely ids at its place with theirs."""


class TooLong(DaedalError):
    """A prompt leaves no room in the context.

    Clients know it by these words: OpenAI's first half, Anthropic's second.

    Args:
        tokens: of the prompt.
        most: that it may have.
        where: of which part of the prompt the tokens are, if not of all of it.
    """

    def __init__(self, tokens: int, most: int, context: int, where: str = "") -> None:
        super().__init__(
            f"This model's maximum context length is {context} tokens, and "
            f"the prompt is too long: {tokens} tokens > {most} maximum{where and f', {where}'}",
            "Shorten it",
        )


@dataclass(frozen=True, eq=False)
class Request:
    """One sample of one prompt.

    Attributes:
        options: with a seed, unless greedy.
        sample: the number of the sample: it picks the random numbers.
        stop_ids: tokens that end the text; they are part of what is given.
        owner: who asks. Owners take turns, and share no cached prefixes.
        constraint: what the text must match; not shared between requests, for it remembers how far the text is.
        echo: the prompt's own log-probabilities are wanted, with this many most likely ids at each place.
        writes: whether anything is to be written; without, the prompt is only read.
        least: tokens to write before one may end the text.
        watermark: what the text is marked with, unless it is greedy.
    """

    ids: Sequence[int]
    options: SamplingOptions
    sample: int = 0
    stop_ids: frozenset[int] = frozenset()
    owner: str = ""
    constraint: Constraint | None = None
    echo: int | None = None
    writes: bool = True
    least: int = 0
    watermark: TextMark | None = None


@dataclass(eq=False)
class Row:
    """A request in the engine.

    Attributes:
        ids: prompt and output.
        visible: how many of the last ids the model sees.
        read: how many of those it has read.
        cached: how many of the prompt's it did not have to read, as the prefix was known.
        room: tokens that may still be generated.
        limit: what ends the row when there is no more room.
        begun: when it first had a slot.
        echoed: the prompt's log-probabilities, as far as they are wanted and read; the first token has none.
        marked: the watermark of the text, if it has one.
    """

    request: Request
    ids: list[int]
    visible: int
    room: int
    limit: FinishReason
    generator: np.random.Generator
    read: int = 0
    cached: int = 0
    came: float = field(default_factory=time.monotonic)
    begun: float = math.inf
    echoed: list[Logprob | None] = field(default_factory=list)
    noise: deque[Tensor] = field(default_factory=deque)
    history: "History | None" = None
    caution: Caution = field(default_factory=Caution)
    marked: MarkedText | None = None

    @property
    def options(self) -> SamplingOptions:
        return self.request.options

    @property
    def waited(self) -> float:
        """Seconds until it had a slot."""
        return self.begun - self.came

    @property
    def early(self) -> bool:
        """Whether it is too early for the text to end."""
        return len(self.ids) - len(self.request.ids) < self.request.least

    @property
    def seen(self) -> list[int]:
        """The ids that the model sees."""
        return self.ids[-self.visible :]

    def begin(self) -> None:
        """It has a slot; one that lost its slot had begun before."""
        self.begun = min(self.begun, time.monotonic())

    @property
    def needs_noise(self) -> bool:
        """Whether the next token needs a random number for each token of the vocabulary."""
        return not (self.options.greedy or (self.marked is not None and isinstance(self.marked.scheme, Tournament)))

    def noise_at(self, place: int, vocab: int) -> Float[Tensor, " vocab"]:
        """The noise of the token `place` tokens ahead; of a text that is marked, of the next."""
        if self.marked is not None:
            return self.marked.noise(self.ids, vocab)
        while len(self.noise) <= place:
            self.noise.append(gumbel(self.generator, vocab))
        return self.noise[place]


@dataclass
class History:
    """What the penalties of a row remember.

    Attributes:
        seen: tokens in the prompt or output.
        counts: how often each token is in the output.
    """

    seen: Tensor
    counts: Tensor

    def add(self, id: int) -> None:
        self.seen[id] = True
        self.counts[id] += 1


@dataclass(frozen=True)
class Read:
    """The prompt has been read; where nothing is to be written, the row ends."""

    row: Row


@dataclass(frozen=True)
class Token:
    """One chosen token.

    Attributes:
        logprob: natural log-probability of `id` in the model's own distribution, if it was asked for.
        top: the most likely ids and theirs.
        finish: why the row ends with this token, or None: "stop" (the model ended the text), "length", "context".
    """

    row: Row
    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    finish: FinishReason | None = None


@dataclass(frozen=True)
class Fault:
    """The row cannot go on, and has ended."""

    row: Row
    error: DaedalError


Event = Read | Token | Fault


def open_row(request: Request, context: int, vocab: int, device: torch.device) -> Row:
    """
    Raises:
        DaedalError: the prompt is empty or leaves no room in the context, or an id is not in the vocabulary.
    """
    ids, options = request.ids, request.options
    if not ids:
        raise DaedalError("A prompt has no tokens", "Give at least one")
    if len(ids) > context - request.writes:
        raise TooLong(len(ids), context - request.writes, context)
    if max(ids) >= vocab or min(ids) < 0:
        raise DaedalError(f"The prompt has ids that are not in the vocabulary of {vocab}", "Check the codec")
    beyond = [token for token in options.logit_bias if token >= vocab]
    if beyond:
        raise DaedalError(
            f"logit_bias: {beyond[0]} is not in the vocabulary of {vocab} tokens", f"Give ids from 0 to {vocab - 1}"
        )
    left: int = context - len(ids)
    room, limit = left, "context"
    if options.max_tokens is not None and (options.overflow == "slide" or options.max_tokens <= left):
        room, limit = options.max_tokens, "length"
    assert options.greedy or options.seed is not None
    generator = _generator(options.seed or 0, ids, request.sample)
    row = Row(request, list(ids), len(ids), room, limit, generator)  # type: ignore[arg-type]
    if request.watermark is not None and not options.greedy:
        row.marked = MarkedText(request.watermark, int(generator.integers(2**64, dtype=np.uint64)), len(ids))
    if options.penalises:
        seen = torch.zeros(vocab, dtype=torch.bool, device=device)
        seen[row.ids] = True
        row.history = History(seen, torch.zeros(vocab, device=device))
    return row


def _generator(seed: int, prompt: Sequence[int], sample: int) -> np.random.Generator:
    """A sample's own random numbers, from the seed, the prompt and the sample's number."""
    material = f"{seed}:{sample}:{','.join(map(str, prompt))}".encode()
    digest = hashlib.blake2b(material, digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
