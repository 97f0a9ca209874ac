"""Autoregression: a network writes codes one after the other, each given those before it.

- part of the codes is known, and taken as it is: a prompt, a class, a picture before its caption, what an edit leaves. What is
  known at the beginning of all rows is read in one pass
- guidance mixes the predictions under two beginnings (`daedal.nn.guidance`), which are read as one batch of twice the size
- a place may hold a code of each of several books, which are written together (a pattern, `daedal.nn.delay`, says how what
  belongs together lies)
- rows of one length go side by side. Pictures, captions and the samples of a run that trains are written here; texts, which
  come and go and end where they like, share the network and its cache with each other in the engine (`daedal.inference`)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.models.gpt import GPT
from daedal.nn.cache import KVCache
from daedal.nn.guidance import ClassifierFree, Guidance

UNKNOWN = -1
"""A code that is to be written."""


class Network(Protocol):
    """What writing needs of a model."""

    vocab: int
    context: int

    @property
    def device(self) -> torch.device: ...

    def new_cache(self, rows: int, capacity: int) -> KVCache: ...

    def __call__(
        self, ids: Int[Tensor, "rows time"], cache: KVCache, every: bool = False
    ) -> Float[Tensor, "rows _ vocab"]:
        """Read the next tokens of each row. Logits after the last, or after `every` one, until the next call."""


class TorchNetwork:
    """A GPT in PyTorch: the reference, and what runs on a GPU."""

    def __init__(self, model: GPT) -> None:
        self.model = model
        self.vocab, self.context = model.config.vocab_size, model.config.context

    @property
    def device(self) -> torch.device:
        return self.model.embedding.weight.device

    def new_cache(self, rows: int, capacity: int) -> KVCache:
        return self.model.new_cache(rows, capacity)

    def __call__(
        self, ids: Int[Tensor, "rows time"], cache: KVCache, every: bool = False
    ) -> Float[Tensor, "rows _ vocab"]:
        hidden = self.model.hidden(ids, cache)
        return self.model.head(hidden if every else hidden[:, -1:])


Choose = Callable[[Float[Tensor, "batch *books vocab"], int], Int[Tensor, "batch *books"]]
"""A code for each row, from its logits; told how many are still to come, with this one."""
Limit = Callable[[Int[Tensor, "batch written *books"], Float[Tensor, "batch *books vocab"]], Tensor]
"""The logits of the codes that may follow those written so far; of others, minus infinity."""


@dataclass(frozen=True)
class ByChance:
    """Each code is where its number stands in the cumulated probabilities; so what is drawn depends on the numbers alone.

    Attributes:
        chances: a number from 0 to 1 for each of the last places.
        temperature: 0 takes the likeliest code each time.
        top_k: only so many of the likeliest codes.
        top_p: only as few of the likeliest as hold this much probability.
    """

    chances: Float[Tensor, "batch places *books"]
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __call__(self, logits: Float[Tensor, "batch *books vocab"], left: int) -> Int[Tensor, "batch *books"]:
        if self.temperature == 0:
            return likeliest(logits, left)
        logits = logits / self.temperature
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = logits.topk(self.top_k).values[..., -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        shares = logits.softmax(-1)
        if self.top_p < 1:
            ordered, order = shares.sort(-1, descending=True)
            spare = ordered.cumsum(-1) - ordered >= self.top_p
            spare[..., 0] = False
            shares = shares.masked_fill(spare.gather(-1, order.argsort(-1)), 0.0)
        cumulated = shares.cumsum(-1)
        chance = self.chances[:, -left, ..., None].double()
        return torch.searchsorted(cumulated, chance * cumulated[..., -1:], right=True)[..., 0]


def likeliest(logits: Float[Tensor, "batch *books vocab"], left: int) -> Int[Tensor, "batch *books"]:
    """The code that is most likely; a `Choose`."""
    return logits.argmax(-1)


@torch.no_grad()
def write(
    network: Network,
    codes: Int[Tensor, "batch length *books"],
    choose: Choose,
    *,
    allowed: slice = slice(None),
    limit: Limit | None = None,
    unasked: Int[Tensor, "batch length *books"] | None = None,
    guidance: Guidance = ClassifierFree(),  # noqa: B008
    first: int | None = None,
    end: int | None = None,
) -> Iterator[Int[Tensor, "batch written *books"]]:
    """The codes so far, each time that there is one more.

    Args:
        codes: those that are known, of all rows the first; and `UNKNOWN` where one is to be written.
        allowed: the codes that may be written; `choose` sees the logits of these, in float64.
        limit: what else says which codes may follow.
        unasked: the same with a beginning that asks for nothing, where `guidance` is to ask for more or less than was learned.
        first: the position of the first code, where it is not 0.
        end: a row that has written this code, of every book, writes nothing else; when all have, all is written.
    """
    batch, length = codes.shape[:2]
    known = codes != UNKNOWN
    begun = int(known.movedim(1, 0).flatten(1).all(1).cumprod(0).sum())
    rows = codes.clone() if unasked is None else torch.cat((codes, unasked))
    if begun == length:
        yield rows[:batch]
    cache = network.new_cache(len(rows), length)
    cache.first = None if first is None else rows.new_full((len(rows),), first)
    fresh, ended = rows[:, :begun], known.new_zeros(batch, *(1 for _ in codes.shape[2:]))
    for place in range(begun, length):
        logits = network(fresh, cache)[:, -1, ..., allowed].double()
        if unasked is not None:
            asked, free = logits.chunk(2)
            logits = torch.lerp(free, asked, guidance.strength((place - begun) / (length - begun)))
        if limit is not None:
            logits = limit(rows[:batch, :place], logits)
        chosen = choose(logits, length - place) + (allowed.start or 0)
        chosen = torch.where(known[:, place], codes[:, place], chosen)
        if end is not None:
            chosen = chosen.masked_fill(ended, end)
            ended = (chosen == end).view(batch, -1).all(1).view_as(ended)
        fresh = rows[:, place : place + 1] = torch.cat([chosen] * (len(rows) // batch))[:, None]
        if end is not None and bool(ended.all()):
            rows[:, place:] = end
            yield rows[:batch]
            return
        yield rows[:batch, : place + 1]
