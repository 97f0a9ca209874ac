"""The 5-gram baseline: interpolated, modified Kneser-Ney smoothing over token ids (Chen and Goodman 1998).

- an n-gram is named by its rank among those that occur; the rank of `token before, n-gram` is found by one sort, so counting
  and looking up work on whole arrays
- each document begins after n - 1 end-of-text ids and predicts one at its end, so no count crosses documents
- the lowest order is interpolated with the uniform distribution: every token has a probability, and they sum to one
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

Array = np.ndarray


@dataclass(frozen=True)
class _Order:
    """The n-grams of one length.

    Attributes:
        keys: sorted; `rank of the last n - 1 tokens * vocab + first token`. An n-gram's rank is its place here.
        counts: how often each occurs (highest order), or how many different tokens come before it (lower orders).
        discount: what is taken from a count: 0, then what is taken from counts of 1, 2, 3 and more.
        total: of each context, the sum of its n-grams' counts.
        reserved: of each context, the discounts that were taken.
    """

    keys: Int[Array, " grams"]
    counts: Int[Array, " grams"]
    discount: Float64[Array, "4"]
    total: Float64[Array, " contexts"]
    reserved: Float64[Array, " contexts"]


class KneserNey:
    """An n-gram model of token ids.

    Args:
        tokens: documents, each followed by `end`.
        vocab: number of token ids.
        order: n.
    """

    def __init__(self, tokens: Int[Array, " tokens"], vocab: int, end: int, order: int = 5) -> None:
        self.vocab, self.end, self.order = vocab, end, order
        stream, events = self._stream(tokens)
        ranks, keys = [stream], [np.arange(vocab, dtype=np.int64)]
        for length in range(2, order + 1):
            # Before the start of the stream nothing is counted, so what stands there does not matter
            key = ranks[-1] * vocab + _shifted(stream, length - 1, end)
            unique, rank = _rank(key)
            ranks.append(rank)
            keys.append(unique)
        self._orders: list[_Order] = []
        contexts = [np.zeros(len(stream), dtype=np.int64), *(_shifted(rank, 1, 0) for rank in ranks[:-1])]
        counts = np.bincount(ranks[-1][events], minlength=len(keys[-1]))
        for length in range(order, 0, -1):
            rank, context = ranks[length - 1], contexts[length - 1]
            # The context of each n-gram, read off any place where it occurs as an event
            context_of = np.zeros(len(keys[length - 1]), dtype=np.int64)
            context_of[rank[events]] = context[events]
            seen = len(keys[length - 2]) if length > 1 else 1
            discount = _discounts(counts)
            self._orders.insert(
                0,
                _Order(
                    keys[length - 1],
                    counts,
                    discount,
                    np.bincount(context_of, weights=counts, minlength=seen),
                    np.bincount(context_of, weights=discount[np.minimum(counts, 3)], minlength=seen),
                ),
            )
            if length > 1:
                # A lower order counts the different tokens that come before it: the n-grams that end in it
                suffixes = keys[length - 1][counts > 0] // vocab
                counts = np.bincount(suffixes, minlength=len(keys[length - 2]))

    @property
    def size(self) -> int:
        """How many n-grams of all lengths it holds."""
        return sum(len(order.keys) for order in self._orders)

    def log_probabilities(self, tokens: Int[Array, " tokens"]) -> Float64[Array, " tokens"]:
        """Natural log-probability of each token of documents that are each followed by the end-of-text id."""
        stream, events = self._stream(tokens)
        logs: Float64[Array, " tokens"] = np.log(self._probabilities(stream, np.flatnonzero(events)))
        return logs

    def distribution(self, context: Int[Array, " tokens"]) -> Float64[Array, " vocab"]:
        """Probabilities of the token after a document that begins with `context`."""
        start = np.concatenate([np.full(self.order - 1, self.end, dtype=np.int64), context])
        rows = np.empty((self.vocab, self.order), dtype=np.int64)
        rows[:, :-1] = start[len(start) - self.order + 1 :]
        rows[:, -1] = np.arange(self.vocab)
        return self._probabilities(rows.ravel(), np.arange(self.order - 1, rows.size, self.order))

    def _probabilities(self, stream: Int[Array, " places"], places: Int[Array, " events"]) -> Float64[Array, " events"]:
        rank, context = stream, np.zeros(len(stream), dtype=np.int64)
        probability = np.full(len(places), 1 / self.vocab)
        for length, order in enumerate(self._orders, 1):
            if length > 1:
                # A rank of -1 is an n-gram that never occurred; neither did any that ends in it
                context = _shifted(rank, 1, -1)
                key = np.where(rank >= 0, rank * self.vocab + _shifted(stream, length - 1, self.end), -1)
                rank = _find(order.keys, key)
            known = context[places]
            total = np.where(known >= 0, order.total[known], 0.0)
            count = np.where(rank[places] >= 0, order.counts[rank[places]], 0)
            discounted = count - order.discount[np.minimum(count, 3)]
            with np.errstate(divide="ignore", invalid="ignore"):
                mixed = (discounted + order.reserved[known] * probability) / total
            probability = np.where(total > 0, mixed, probability)
        return probability

    def _stream(self, tokens: Int[Array, " tokens"]) -> tuple[Int[Array, " places"], Bool[Array, " places"]]:
        """Tokens with n - 1 end-of-text ids before every document, and which places are to be predicted."""
        pad = self.order - 1
        tokens = np.concatenate([np.full(1, self.end, dtype=np.int64), tokens])
        repeats = np.where(tokens == self.end, max(1, pad), 1)
        events = np.zeros(int(repeats.sum()), dtype=bool)
        events[np.cumsum(repeats) - repeats] = True
        events[0] = False
        return np.repeat(tokens, repeats), events


def _shifted(values: Int[Array, " places"], by: int, fill: int) -> Int[Array, " places"]:
    """What stood `by` places earlier."""
    moved = np.empty_like(values)
    moved[:by] = fill
    moved[by:] = values[:-by] if by < len(values) else values[:0]
    return moved


def _rank(keys: Int[Array, " places"]) -> tuple[Int[Array, " unique"], Int[Array, " places"]]:
    """The sorted unique keys, and the place of each key among them."""
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.empty(len(keys), dtype=bool)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.cumsum(new) - 1
    return ordered[new], ranks


def _find(table: Int[Array, " unique"], keys: Int[Array, " places"]) -> Int[Array, " places"]:
    """The place of each key in a sorted table, or -1."""
    order = np.argsort(keys)  # looked up in order, neighbours share the processor's cache
    place = np.empty(len(keys), dtype=np.int64)
    place[order] = np.searchsorted(table, keys[order])
    found = place < len(table)
    found[found] = table[place[found]] == keys[found]
    return np.where(found, place, -1)


def _discounts(counts: Int[Array, " grams"]) -> Float64[Array, "4"]:
    """What to take from a count of 0, 1, 2, and 3 or more (Chen and Goodman 1998, equation 26).

    Where counts of counts are too few to say, as with few and frequent n-grams: a half, one and one and a half.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    discount = np.array([0.0, 0.5, 1.0, 1.5])
    if min(n[1:5]) > 0:
        y = n[1] / (n[1] + 2 * n[2])
        wanted = [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        if all(0 < d <= k and math.isfinite(d) for k, d in zip((1, 2, 3), wanted, strict=True)):
            discount[1:] = wanted
    return discount
