"""What stands between two tokens, by the tokens alone: bigrams from the left and from the right, smoothed as Witten and Bell
(1991).

With p(v | l) from counts of what follows `l`, a token between `l` and `r` has p(v | l, r) proportional to p(v | l) p(r | v). A
neighbour that is not known tells nothing; with neither, these are the shares of tokens: the unigram model.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

Array = np.ndarray
UNKNOWN = -1
MOST_TOKENS = 5_000_000
_CELLS = 2**22


@dataclass(frozen=True)
class Neighbours:
    """
    Attributes:
        border: the id that stands before and behind every text; ids below it are of tokens.
        shares: of each token, add-one smoothed.
        after: how often each token follows each.
        seen, kinds: how many tokens follow each, and how many different ones.
    """

    border: int
    shares: Float[Array, " ids"]
    after: Any
    before: Any
    seen: Float[Array, " ids"]
    kinds: Float[Array, " ids"]

    @classmethod
    def fit(cls, texts: list[Int[Array, " tokens"]], vocab_size: int) -> Self:
        """Learn from texts of ids."""
        from scipy.sparse import csr_array

        border = np.array([vocab_size])
        line = np.concatenate([border, *(part for text in texts for part in (text, border))])
        size = vocab_size + 1
        after = csr_array((np.ones(len(line) - 1), (line[:-1], line[1:])), shape=(size, size))
        after.sum_duplicates()
        counts = np.bincount(line, minlength=size) + 1.0
        seen = np.asarray(after.sum(1)).ravel()
        return cls(
            vocab_size, counts / counts.sum(), after, after.tocsc(), seen, np.diff(after.indptr).astype(np.float64)
        )

    def judge(
        self, truth: Int[Array, " places"], left: Int[Array, " places"], right: Int[Array, " places"]
    ) -> tuple[Float[Array, " places"], Int[Array, " places"]]:
        """Nats of each token that was hidden, and its place among all, from 1, behind those that are as likely.

        Args:
            left, right: what stands beside each: an id, the border, or `UNKNOWN`.
        """
        rows = max(1, _CELLS // self.border)
        parts = [
            self._judge(truth[at : at + rows], left[at : at + rows], right[at : at + rows])
            for at in range(0, len(truth), rows)
        ]
        nats, places = zip(*parts, strict=True) if parts else ((np.zeros(0),), (np.zeros(0, dtype=np.int64),))
        return np.concatenate(nats), np.concatenate(places)

    def _judge(
        self, truth: Int[Array, " n"], left: Int[Array, " n"], right: Int[Array, " n"]
    ) -> tuple[Float[Array, " n"], Int[Array, " n"]]:
        total = self.seen + self.kinds
        rate = np.divide(
            self.kinds, total, out=np.ones_like(total), where=total > 0
        )  # of what is not from counts of pairs
        scores = np.repeat(self.shares[None], len(truth), axis=0)
        known = np.flatnonzero(left != UNKNOWN)
        if len(known):
            of = left[known]
            scores[known] *= rate[of][:, None]
            scores[known] += self.after[of].toarray() / np.maximum(total[of], 1)[:, None]
        known = np.flatnonzero(right != UNKNOWN)
        if len(known):
            of = right[known]
            scores[known] *= self.before[:, of].toarray().T / np.maximum(total, 1) + rate * self.shares[of][:, None]
        scores = scores[:, : self.border]
        scores /= scores.sum(1, keepdims=True)
        own = scores[np.arange(len(truth)), truth][:, None]
        return -np.log(own[:, 0]), (scores >= own).sum(1)
