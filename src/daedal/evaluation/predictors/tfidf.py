"""Texts that share rare words are near: the cosine of word counts weighted by tf-idf (Spärck Jones 1972; Salton and Buckley
1988)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.evaluation.predictors.words import words


@dataclass(frozen=True)
class TfIdf:
    """
    Attributes:
        places: the column of each word.
        rarity: `ln((1 + texts) / (1 + texts with the word)) + 1`, as scikit-learn has it.
    """

    places: dict[str, int]
    rarity: Float[np.ndarray, " words"]

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Self:
        """Learn from texts how rare words are."""
        counts = Counter(word for text in texts for word in set(words(text)))
        places = {word: place for place, word in enumerate(sorted(counts))}
        having = np.array([counts[word] for word in places], dtype=np.float64)
        return cls(places, np.log((1 + len(texts)) / (1 + having)) + 1)

    def similarity(self, one: Sequence[str], other: Sequence[str]) -> Float[Tensor, "one other"]:
        """The cosine of each text with each of others; 0 for one without a known word."""
        return torch.from_numpy((self._vectors(one) @ self._vectors(other).T).toarray())

    def paired(self, one: Sequence[str], other: Sequence[str]) -> Float[np.ndarray, " pairs"]:
        """The cosine of each text with the one at the same place."""
        found: Float[np.ndarray, " pairs"] = (self._vectors(one) * self._vectors(other)).sum(1)
        return found

    def _vectors(self, texts: Sequence[str]) -> Any:
        from scipy.sparse import csr_array

        rows = [Counter(word for word in words(text) if word in self.places) for text in texts]
        columns = np.array([self.places[word] for row in rows for word in row], dtype=np.int32)
        values = np.array([count for row in rows for count in row.values()], dtype=np.float64)
        values *= self.rarity[columns]
        borders = np.cumsum([0, *map(len, rows)])
        of = np.repeat(np.arange(len(rows)), np.diff(borders))
        norms = np.sqrt(np.bincount(of, weights=values**2, minlength=len(rows)))
        return csr_array((values / norms[of], columns, borders), shape=(len(rows), len(self.places)))
