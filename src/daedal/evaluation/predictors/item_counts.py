"""What a person takes next, by counting: how often each item was taken, and how often after another (a Markov chain)."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

Array = np.ndarray
History = Int[Array, " items"]
_LAST = 3  # of a history, that say what follows


class Popularity:
    """The same for everybody: how often each item was taken."""

    def __init__(self, counts: Float[Array, " vocab"]) -> None:
        self.counts = counts

    @classmethod
    def fit(cls, histories: Sequence[History], vocab_size: int) -> Self:
        return cls(np.bincount(np.concatenate(histories), minlength=vocab_size).astype(np.float64))

    def scores(self, histories: Sequence[History]) -> Float[Array, "histories vocab"]:
        return np.tile(self.counts, (len(histories), 1))


class Successors:
    """How often an item was taken right after each of the last of a history, the last one counting most; where none tells,
    popularity does."""

    def __init__(self, after: Any, popularity: Popularity) -> None:
        self.after, self.popularity = after, popularity

    @classmethod
    def fit(cls, histories: Sequence[History], vocab_size: int) -> Self:
        from scipy.sparse import csr_array

        pairs = np.concatenate([np.stack((each[:-1], each[1:])) for each in histories], 1)
        counts = csr_array((np.ones(pairs.shape[1]), tuple(pairs)), shape=(vocab_size, vocab_size))
        counts.sum_duplicates()
        return cls(counts, Popularity.fit(histories, vocab_size))

    def scores(self, histories: Sequence[History]) -> Float[Array, "histories vocab"]:
        shares = self.popularity.counts / self.popularity.counts.sum()
        found = np.tile(shares, (len(histories), 1))
        for row, history in enumerate(histories):
            for back, item in enumerate(history[: -_LAST - 1 : -1]):
                found[row] += self.after[[item]].toarray()[0] / (1 + back)
        return found
