"""The engine: prompts of token ids in, tokens out, many rows at a time.

- prompts of unequal length share a batch, padded on the left; a prompt's samples share its prefill
- a row that has ended is dropped, and its place is given up when enough of them have
- a row's tokens depend on the seed, the prompt and the number of the sample, not on what else is in the batch
- where the context is full, a row stops, or slides: its last half is read again and it goes on from there
- with a draft (a cheaper copy of the model), a single row guesses some tokens ahead and the model checks them in one
  pass (Leviathan et al. 2023). A guess stays only if it is what the model itself chooses, so the text is the model's own
"""

import hashlib
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.logits import choose, gumbel, log_probabilities, penalise
from daedal.inference.sampling import SamplingOptions
from daedal.inference.weights import pack
from daedal.models.gpt import GPT

FinishReason = Literal["stop", "length", "context"]

_CHUNK = 512
"""Columns of one pass of a long prompt: bounds the memory of the attention mask, and how long Ctrl-C waits."""
_ROOM = 256
"""Columns that a cache starts with beyond the prompt; it doubles when they are full."""
_PACKED_FROM = 4
"""Rows from which packed weights are faster; they cost as much memory as the model, and nothing before they are used."""
_AHEAD = 7
"""Tokens that a draft guesses before the model checks them."""


@dataclass(frozen=True)
class Token:
    """One chosen token.

    Attributes:
        logprob: natural log-probability of `id` in the model's own distribution, if it was asked for.
        top: the most likely ids and theirs.
        finish: why the row ends with this token, or None: "stop" (the model ended the text), "length", "context".
    """

    row: int
    id: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    finish: FinishReason | None = None


@dataclass
class Row:
    """One sample of one prompt.

    Attributes:
        ids: prompt and output.
        visible: how many of the last ids the model sees.
        room: tokens that may still be generated.
        limit: what ends the row when there is no more room.
    """

    number: int
    ids: list[int]
    visible: int
    room: int
    limit: FinishReason
    generator: torch.Generator
    noise: deque[Tensor] = field(default_factory=deque)
    alive: bool = True

    def noise_at(self, place: int, vocab: int) -> Float[Tensor, " vocab"]:
        """The noise of the token `place` tokens ahead."""
        while len(self.noise) <= place:
            self.noise.append(gumbel(self.generator, vocab))
        return self.noise[place]


class Engine:
    """Generates with one model.

    Args:
        draft: a cheaper model of the same shape, whose guesses make a single row faster and change nothing else.
    """

    def __init__(self, model: GPT, draft: GPT | None = None) -> None:
        self.model, self.draft = model, draft

    @cached_property
    def _packed(self) -> GPT:
        return pack(self.model)

    def network(self, rows: int) -> GPT:
        """The form of the model that is fastest for this many rows."""
        return self.model if rows < _PACKED_FROM else self._packed

    @property
    def vocab(self) -> int:
        return self.model.config.vocab_size

    @property
    def context(self) -> int:
        return self.model.config.context

    def start(
        self,
        prompts: Sequence[Sequence[int]],
        options: SamplingOptions,
        samples: Sequence[Sequence[int]] | None = None,
        stop_ids: Collection[int] = (),
    ) -> "Decoding":
        """Begin to generate. Rows are numbered from 0, in the order of the prompts and of their samples.

        Args:
            options: with a seed, unless greedy.
            samples: the numbers of the samples wanted of each prompt; a number picks the random numbers. One, number 0,
                of each prompt unless given.
            stop_ids: tokens that end a text; they are part of what is given.

        Raises:
            DaedalError: a prompt is empty or leaves no room in the context, or a biased id is not in the vocabulary.
        """
        for ids in prompts:
            if not ids:
                raise DaedalError("A prompt has no tokens", "Give at least one")
            if len(ids) >= self.context:
                raise DaedalError(
                    f"The prompt has {len(ids)} tokens, and this model's context of {self.context} leaves no room to "
                    "write",
                    f"Shorten the prompt to at most {self.context - 1} tokens",
                )
            if max(ids) >= self.vocab or min(ids) < 0:
                raise DaedalError(
                    f"The prompt has ids that are not in the vocabulary of {self.vocab}", "Check the codec"
                )
        beyond = [token for token in options.logit_bias if token >= self.vocab]
        if beyond:
            raise DaedalError(
                f"logit_bias: {beyond[0]} is not in the vocabulary of {self.vocab} tokens",
                f"Give ids from 0 to {self.vocab - 1}",
            )
        return Decoding(self, prompts, options, samples or [(0,)] * len(prompts), frozenset(stop_ids))


class Decoding:
    """Rows that are being generated. `advance` until `done`; `drop` ends a row early."""

    def __init__(
        self,
        engine: Engine,
        prompts: Sequence[Sequence[int]],
        options: SamplingOptions,
        samples: Sequence[Sequence[int]],
        stop_ids: frozenset[int],
    ) -> None:
        self.engine, self.options, self.stop_ids = engine, options, stop_ids
        self.rows: list[Row] = []
        for prompt, numbers in zip(prompts, samples, strict=True):
            for sample in numbers:
                generator = _generator(options.seed or 0, prompt, sample)
                room, limit = _room(engine.context - len(prompt), options)
                self.rows.append(Row(len(self.rows), list(prompt), len(prompt), room, limit, generator))
        with torch.inference_mode():
            self._bias = self._dense_bias()
            self._seen, self._counts = self._histories()
            self._logits: Tensor | None = self._read(prompts)
            if len(self.rows) > len(prompts):
                copies = torch.tensor([i for i, numbers in enumerate(samples) for _ in numbers], device=self._device)
                self._cache.select(copies)
                self._logits = self._logits[copies]

    @property
    def done(self) -> bool:
        return not any(row.alive for row in self.rows)

    def drop(self, number: int) -> None:
        """End a row: no more of its tokens are wanted."""
        next(row for row in self.rows if row.number == number).alive = False

    @torch.inference_mode()
    def advance(self) -> list[Token]:
        """The next token of every row that has not ended; of a single row, maybe several."""
        if self.done:
            return []
        if self._logits is None:
            self._make_way()
        if self._logits is None:
            if self.engine.draft is not None and len(self.rows) == 1 and (ahead := self._ahead(self.rows[0])) > 0:
                return self._speculate(self.engine.draft, self.rows[0], ahead)
            pending = torch.tensor([[row.ids[-1]] for row in self.rows], device=self._device)
            self._reserve(1)
            self._logits = self.engine.network(len(self.rows))(pending, self._cache)[:, -1]
        logits, self._logits = self._logits, None
        return self._choose(logits)

    def _choose(self, logits: Float[Tensor, "batch vocab"]) -> list[Token]:
        """Choose a token for every living row and take it into the row."""
        shaped, options = self._reshape(logits), self.options
        noise = None
        if not options.greedy:
            noise = torch.stack([row.noise_at(0, self.engine.vocab) for row in self.rows]).to(self._device)
            for row in self.rows:
                row.noise.popleft()
        chosen = choose(shaped, options, noise)
        logprobs: list[float] | list[None] = [None] * len(chosen)
        tops: list[list[tuple[int, float]]] = [[] for _ in chosen]
        if options.logprobs is not None:
            logprobs, tops = log_probabilities(logits, torch.tensor(chosen, device=self._device), options.logprobs)
        if self._counts is not None and self._seen is not None:
            places = torch.arange(len(chosen), device=self._device), torch.tensor(chosen, device=self._device)
            self._seen[places] = True
            self._counts[places] += 1
        tokens = []
        for row, id, logprob, top in zip(self.rows, chosen, logprobs, tops, strict=True):
            row.ids.append(id)
            row.visible += 1
            if row.alive:
                row.room -= 1
                finish = self._finish(row, id)
                row.alive = finish is None
                tokens.append(Token(row.number, id, logprob, tuple(top), finish))
        return tokens

    def _finish(self, row: Row, id: int) -> FinishReason | None:
        if id in self.stop_ids:
            return "stop"
        return None if row.room > 0 else row.limit

    def _reshape(self, logits: Float[Tensor, "batch vocab"]) -> Float[Tensor, "batch vocab"]:
        """Logit bias and penalties."""
        options = self.options
        if self._bias is not None:
            logits = logits.float() + self._bias
        if self._seen is not None and self._counts is not None:
            logits = penalise(
                logits.float(),
                self._seen,
                self._counts,
                repetition=options.repetition_penalty,
                presence=options.presence_penalty,
                frequency=options.frequency_penalty,
            )
        return logits

    # -- a single row that guesses ahead -------------------------------------------------------------------------------

    def _ahead(self, row: Row) -> int:
        """How many tokens may be guessed: the last token of a text needs no guess after it."""
        return min(_AHEAD, row.room - 1, self.engine.context - row.visible)

    def _speculate(self, draft: GPT, row: Row, ahead: int) -> list[Token]:
        cache, model = self._cache, self.engine.network(ahead + 1)
        self._reserve(ahead + 1)
        base, fed = cache.length, [row.ids[-1]]
        for place in range(ahead):
            # The draft reads the model's own keys and values, and the penalties of the last token that is certain
            logits = self._reshape(draft(torch.tensor([fed[-1:]], device=self._device), cache)[:, -1])
            noise = None if self.options.greedy else row.noise_at(place, self.engine.vocab)[None].to(self._device)
            fed.extend(choose(logits, self.options, noise))
        cache.length = base
        checked = model(torch.tensor([fed], device=self._device), cache)[0]
        tokens: list[Token] = []
        for place in range(ahead + 1):
            tokens += self._choose(checked[place : place + 1])
            if not row.alive or place == ahead or row.ids[-1] != fed[place + 1]:
                break
        cache.length = base + len(tokens)
        return tokens

    # -- the cache ---------------------------------------------------------------------------------------------------

    @property
    def _device(self) -> torch.device:
        return self.engine.model.embedding.weight.device

    def _read(self, prompts: Sequence[Sequence[int]]) -> Float[Tensor, "batch vocab"]:
        """Fill a new cache with these ids; gives the logits after each."""
        model, longest = self.engine.model, max(map(len, prompts))
        ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts], device=self._device)
        start = None
        if any(len(p) < longest for p in prompts):
            start = torch.tensor([longest - len(p) for p in prompts], device=self._device)
        room = min(_ROOM, max(row.room for row in self.rows if row.alive))
        self._cache = model.new_cache(len(prompts), longest + room)
        for first in range(0, longest, _CHUNK):
            hidden = model.hidden(ids[:, first : first + _CHUNK], self._cache, start)
        return model.head(hidden[:, -1])

    def _make_way(self) -> None:
        """Give up the places of ended rows once they are a quarter of all, and slide rows whose context is full."""
        beyond = [row for row in self.rows if row.visible > self.engine.context]
        sliding = [row for row in beyond if row.alive]
        alive = [i for i, row in enumerate(self.rows) if row.alive]
        if beyond or len(alive) <= 0.75 * len(self.rows):
            kept = torch.tensor(alive, device=self._device)
            self.rows = [self.rows[i] for i in alive]
            if self._seen is not None and self._counts is not None:
                self._seen, self._counts = self._seen[kept], self._counts[kept]
            if not sliding:
                self._cache.select(kept)
        if sliding:
            for row in sliding:
                row.visible = max(1, self.engine.context // 2)
            self._logits = self._read([row.ids[-row.visible :] for row in self.rows])

    def _reserve(self, columns: int) -> None:
        needed = self._cache.length + columns
        if needed > self._cache.capacity:
            self._cache.grow(max(needed, 2 * self._cache.capacity))

    # -- what penalties remember ---------------------------------------------------------------------------------------

    def _dense_bias(self) -> Float[Tensor, " vocab"] | None:
        if not self.options.logit_bias:
            return None
        bias = torch.zeros(self.engine.vocab, device=self._device)
        bias[list(self.options.logit_bias)] = torch.tensor(list(self.options.logit_bias.values()), device=self._device)
        return bias

    def _histories(self) -> tuple[Tensor | None, Tensor | None]:
        """Which tokens each row has seen, and how often each is in its output."""
        if not self.options.penalises:
            return None, None
        seen = torch.zeros(len(self.rows), self.engine.vocab, dtype=torch.bool, device=self._device)
        for i, row in enumerate(self.rows):
            seen[i, row.ids] = True
        return seen, torch.zeros(seen.shape, device=self._device)


def _room(left: int, options: SamplingOptions) -> tuple[int, FinishReason]:
    """How many tokens a row may generate where its context has `left` places, and what the limit is called."""
    if options.max_tokens is not None and (options.overflow == "slide" or options.max_tokens <= left):
        return options.max_tokens, "length"
    return left, "context"


def _generator(seed: int, prompt: Sequence[int], sample: int) -> torch.Generator:
    """A sample's own random numbers, from the seed, the prompt and the sample's number."""
    material = f"{seed}:{sample}:{','.join(map(str, prompt))}".encode()
    digest = hashlib.blake2b(material, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
