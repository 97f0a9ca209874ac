"""Which words people prefer: a Bradley-Terry model (1952) whose rewards are sums of weights of words. It knows no order and no
prompt, and is what a reward model must be better than.

- of each word whether an answer has it, not how often; words of two pairs or more
- minimal is 1/2 |w|^2 + COST sum log(1 + exp(-w (chosen - rejected)))
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float

from daedal.evaluation.predictors.lbfgs import minimise
from daedal.evaluation.predictors.words import words

Array = np.ndarray
COST = 0.1
MOST_PAIRS = 50_000
_ROUNDS = 100


@dataclass(frozen=True)
class WordPreferences:
    """
    Attributes:
        places: the place of each word.
        weights: how much more an answer is worth that has it.
    """

    places: dict[str, int]
    weights: Float[Array, " words"]

    @classmethod
    def fit(cls, chosen: Sequence[str], rejected: Sequence[str]) -> Self:
        """Learn from pairs of answers."""
        counts = Counter(
            word for one, other in zip(chosen, rejected, strict=True) for word in {*words(one), *words(other)}
        )
        places = {word: place for place, word in enumerate(sorted(word for word, count in counts.items() if count > 1))}
        differences = (_table(chosen, places) - _table(rejected, places)).tocsr()
        turned = differences.T.tocsr()

        def loss(w: Float[Array, " words"]) -> tuple[float, Float[Array, " words"]]:
            ahead = differences @ w
            slope = -COST / (1 + np.exp(np.minimum(ahead, 500)))
            return float((w**2).sum() / 2 + COST * np.logaddexp(0, -ahead).sum()), w + turned @ slope

        return cls(places, minimise(loss, np.zeros(len(places)), _ROUNDS))

    def rewards(self, texts: Sequence[str]) -> Float[Array, " texts"]:
        """How much each answer is worth."""
        found: Float[Array, " texts"] = _table(texts, self.places) @ self.weights
        return found


def _table(texts: Sequence[str], places: dict[str, int]) -> Any:
    """Which words each text has."""
    from scipy.sparse import csr_array

    rows = [sorted({places[word] for word in words(text) if word in places}) for text in texts]
    borders = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], dtype=np.int32)
    return csr_array((np.ones(len(columns)), columns, borders), shape=(len(texts), len(places)))
