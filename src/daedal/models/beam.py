"""Search for a translation: beam search with length normalisation (Wu et al. 2016), greedy as a search with one beam, and
sampling.

The rules are those of Transformers' `generate` with `early_stopping=False`, so that a model writes the same there: of twice as
many continuations as there are beams the best that do not end are gone on with; one that ends is done where it is among the
best `beams`; a source is done when its best open beam cannot beat the worst of `beams` done ones at its present length.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from daedal.errors import DaedalError
from daedal.models.decoding import Decoding, top
from daedal.models.translator import Translator
from daedal.nn.noise import Noise

_TOKENS_AT_ONCE = 4096
"""Of sources and their beams, counted at the length of the longest."""


class Hypothesis(NamedTuple):
    """A translation.

    Attributes:
        ids: without the token that ends it.
        score: its log-likelihood in nats divided by `tokens**length_penalty`.
        tokens: how many were written, with the one that ends it.
        ended: whether the model ended it; else there was no room for more.
    """

    ids: tuple[int, ...]
    score: float
    tokens: int
    ended: bool


class _Node(NamedTuple):
    """A token and what stands before it."""

    id: int
    before: "_Node | None"


class _Search:
    """The beams of one source.

    Attributes:
        open: beams that go on, the best first; and their scores.
        done: translations, the best first.
    """

    def __init__(self, beams: int, penalty: float, end: int, room: int) -> None:
        self.beams, self.penalty, self.end, self.room = beams, penalty, end, room
        self.open: list[_Node | None] = [None]
        self.scores = [0.0]
        self.done: list[Hypothesis] = []

    def advance(
        self, step: int, scores: Sequence[float], parents: Sequence[int], ids: Sequence[int]
    ) -> list[int] | None:
        """Take the best continuations after a step, the best first; gives the parents of the open beams, or nothing when the
        search is over."""
        kept: list[tuple[float, int, _Node]] = []
        full = step >= self.room
        for rank, (score, parent, id) in enumerate(zip(scores, parents, ids, strict=True)):
            ends = id == self.end
            if (ends or full) and rank < self.beams:
                line = _line(self.open[parent] if ends else _Node(id, self.open[parent]))
                self.done.append(Hypothesis(line, score / step**self.penalty, step, ends))
            if not ends and not full and len(kept) < self.beams:
                kept.append((score, parent, _Node(id, self.open[parent])))
        self.done = sorted(self.done, key=lambda each: -each.score)[: self.beams]
        if not kept:
            return None
        if len(self.done) == self.beams and kept[0][0] / step**self.penalty <= self.done[-1].score:
            return None
        self.scores, self.open = [score for score, _, _ in kept], [node for _, _, node in kept]
        return [parent for _, parent, _ in kept]


@torch.inference_mode()
def beam_search(
    model: Translator,
    sources: Sequence[Sequence[int]],
    beams: int = 4,
    length_penalty: float = 1.0,
    max_tokens: int | None = None,
) -> list[list[Hypothesis]]:
    """For each source its translations, the best first: as many as there are beams. One beam is greedy search.

    Args:
        sources: rows of ids, none empty.
        length_penalty: what a translation's length is raised to; the more, the longer it gets.
        max_tokens: of a translation, with the token that ends it; the model's context unless given.

    Raises:
        DaedalError: there are more beams than tokens to choose from, or the model's logits are no numbers.
    """
    config = model.config
    if not 1 <= 2 * beams < config.vocab_size:
        raise DaedalError(f"{beams} beams cannot be kept apart", f"Choose 1 to {(config.vocab_size - 1) // 2}")
    room = min(config.context, max_tokens or config.context)
    found: list[list[Hypothesis]] = [[] for _ in sources]
    for batch in _batches(sources, beams):
        searches = [_Search(beams, length_penalty, config.end_id, room) for _ in batch]
        _search(Decoding(model, [sources[place] for place in batch], beams), searches)
        for place, search in zip(batch, searches, strict=True):
            found[place] = search.done
    return found


def _search(decoding: Decoding, searches: list[_Search]) -> None:
    """All steps of some sources."""
    model, device, live = decoding.model, decoding.device, searches
    count = max(2, 2 * decoding.beams) if decoding.beams > 1 else 1
    ids, parents = torch.full((len(live), 1), model.config.start_id, device=device), None
    while live:
        scores = torch.tensor([search.scores for search in live], device=device)
        logits = decoding.logits(ids, parents).float()
        found = top(logits, scores, count)
        if bool(found[0].isnan().any()):
            raise DaedalError(
                "The model's logits are not finite numbers (NaN or infinity)",
                "Its weights are damaged or its training diverged: use an earlier checkpoint",
            )
        best, beam, token = (each.tolist() for each in found)
        going = []
        for row, search in enumerate(live):
            chosen = search.advance(decoding.step, best[row], beam[row], token[row])
            if chosen is not None:
                going.append((row, chosen))
        rows = [row for row, _ in going]
        if len(rows) < len(live):
            if not rows:
                return
            order = decoding.keep(rows)
            chosen_of = dict(going)
            going = [(row, chosen_of[row]) for row in order]
        live = [live[row] for row, _ in going]
        ids = torch.tensor([[node.id for node in search.open if node is not None] for search in live], device=device)
        parents = torch.tensor([chosen for _, chosen in going], device=device)


@torch.inference_mode()
def sample(
    model: Translator,
    sources: Sequence[Sequence[int]],
    noise: Noise,
    temperature: float = 1.0,
    length_penalty: float = 1.0,
    max_tokens: int | None = None,
    samples: int = 1,
) -> list[list[Hypothesis]]:
    """For each source some translations that are drawn from what the model thinks of them.

    Args:
        noise: of `samples` examples for each source, one source after the other.
        temperature: divides the logits; scores are of the model's own.
    """
    config = model.config
    room = min(config.context, max_tokens or config.context)
    chances = noise.uniform("translation", room).double()
    found: list[list[Hypothesis]] = [[] for _ in sources]
    for batch in _batches(sources, samples):
        decoding = Decoding(model, [sources[place] for place in batch], copies=samples)
        drawn = torch.cat([chances[place * samples : (place + 1) * samples] for place in batch])
        done = _draw(decoding, drawn.to(decoding.device), temperature, length_penalty)
        for number, one in enumerate(done):
            found[batch[number // samples]].append(one)
    return found


def _draw(
    decoding: Decoding, chances: Float64[Tensor, "rows room"], temperature: float, penalty: float
) -> list[Hypothesis]:
    """A translation for each row, drawn by its numbers from 0 up to 1: where the sum of probabilities exceeds them."""
    config, room = decoding.model.config, chances.shape[1]
    texts: list[list[int]] = [[] for _ in chances]
    totals, live = [0.0] * len(texts), list(range(len(texts)))
    ids = torch.full((len(live), 1), config.start_id, device=chances.device)
    found: dict[int, Hypothesis] = {}
    while live:
        logits = decoding.logits(ids)[:, 0].float()
        summed = (logits / temperature).softmax(1).cumsum(1, dtype=torch.float64)
        chance = chances[live, decoding.step - 1, None] * summed[:, -1:]
        ids = torch.searchsorted(summed, chance, right=True).clamp(max=config.vocab_size - 1)  # of what is not a number
        gained = logits.gather(1, ids)[:, 0] - logits.logsumexp(1)
        going = []
        for row, id, nats in zip(live, ids[:, 0].tolist(), gained.tolist(), strict=True):
            totals[row] += nats
            if id != config.end_id:
                texts[row].append(id)
            if id == config.end_id or decoding.step == room:
                score = totals[row] / decoding.step**penalty
                found[row] = Hypothesis(tuple(texts[row]), score, decoding.step, id == config.end_id)
            else:
                going.append(row)
        if len(going) < len(live):
            slots = {row: slot for slot, row in enumerate(live)}
            order = decoding.keep([slots[row] for row in going]) if going else []
            live, ids = [live[slot] for slot in order], ids[order]
    return [found[row] for row in range(len(texts))]


def _batches(sources: Sequence[Sequence[int]], copies: int) -> Iterator[list[int]]:
    """The places of sources, those of about equal length together, the longest first."""
    batch: list[int] = []
    for place in sorted(range(len(sources)), key=lambda place: (-len(sources[place]), place)):
        if batch and (len(batch) + 1) * copies * len(sources[batch[0]]) > _TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _line(node: _Node | None) -> tuple[int, ...]:
    ids = []
    while node is not None:
        ids.append(node.id)
        node = node.before
    return tuple(reversed(ids))
