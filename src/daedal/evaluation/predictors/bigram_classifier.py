"""Word uni- and bigrams weighted by naive Bayes, and a linear model over them (Wang and Manning 2012, "Baselines and bigrams":
NBSVM): for sentiment and topics the baseline that is hard to beat.

- which n-grams a text has, not how often; each is weighted by the logarithm of how much more often texts of the class have it
- of the linear model's weights, a part is drawn to their mean, as the paper has it; not where a text may have several classes,
  for then it is the odds of each that tell, and they must stay odds
- a logistic loss in place of a hinge, so that there are probabilities to measure; one class against all others
- the constants are the paper's (on SST-2's development texts none is better beyond chance), not tuned to the data at hand
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from jaxtyping import Bool, Float

from daedal.evaluation.predictors.lbfgs import minimise
from daedal.evaluation.predictors.words import words

Array = np.ndarray
SMOOTHING = 1.0
COST = 1.0
"""Of the loss, beside half the squared weights."""
BETA = 0.25
"""How much of the weights is not drawn to their mean."""
MOST_TEXTS = 50_000
"""So many texts are learned from: about half a minute."""
_ROUNDS = 100


@dataclass(frozen=True)
class BigramClassifier:
    """A classifier that is learned.

    Attributes:
        places: the column of each n-gram.
        weights: of each class, those of the n-grams with naive Bayes' multiplied in, and last its bias.
    """

    places: dict[str, int]
    weights: Float[Array, "classes features_and_one"]

    @classmethod
    def fit(cls, texts: Sequence[str], labels: Bool[Array, "texts classes"]) -> Self:
        """Learn from texts and which classes each has."""
        places: dict[str, int] = {}
        for text in texts:
            for ngram in _ngrams(text):
                places.setdefault(ngram, len(places))
        table = _table(texts, places)
        one = bool((labels.sum(1) == 1).all())
        classes = labels.T[1:] if one and labels.shape[1] == 2 else labels.T
        found = np.stack([_learn(table, has, BETA if one else 1.0) if has.any() else _never(table) for has in classes])
        if len(found) < labels.shape[1]:  # of two classes, one tells the other
            found = np.concatenate([-found, found])
        return cls(places, found)

    def scores(self, texts: Sequence[str]) -> Float[Array, "texts classes"]:
        """The log-odds of each class against all others."""
        found: Float[Array, "texts classes"] = _table(texts, self.places) @ self.weights[:, :-1].T + self.weights[:, -1]
        return found

    def chances(self, texts: Sequence[str]) -> Float[Array, "texts classes"]:
        """The probability of each class by itself, for texts that may have several."""
        found: Float[Array, "texts classes"] = 1 / (1 + np.exp(-np.clip(self.scores(texts), -500, 500)))
        return found

    def probabilities(self, texts: Sequence[str]) -> Float[Array, "texts classes"]:
        """The probabilities of classes of which each text has one: those of `chances`, that they sum to one."""
        chances = self.chances(texts) + 1e-12
        found: Float[Array, "texts classes"] = chances / chances.sum(1, keepdims=True)
        return found


def _ngrams(text: str) -> Iterable[str]:
    """The different uni- and bigrams of a text."""
    split = words(text)
    return dict.fromkeys([*split, *(f"{one} {other}" for one, other in pairwise(split))])


def _table(texts: Sequence[str], places: dict[str, int]) -> Any:
    """Which n-grams each text has: a sparse matrix of zeros and ones."""
    from scipy.sparse import csr_array

    rows = [[places[ngram] for ngram in _ngrams(text) if ngram in places] for text in texts]
    borders = np.cumsum([0, *map(len, rows)])
    columns = np.array([column for row in rows for column in row], dtype=np.int32)
    return csr_array((np.ones(len(columns)), columns, borders), shape=(len(texts), len(places)))


def _never(table: Any) -> Float[Array, " features_and_one"]:
    """The weights of a class that none of the texts has: there may be thousands, and nothing is learned of them."""
    texts, ngrams = table.shape
    return np.append(np.zeros(ngrams), np.log(SMOOTHING / (SMOOTHING + texts)))


def _learn(table: Any, has: Bool[Array, " texts"], beta: float) -> Float[Array, " features_and_one"]:
    """The weights of one class against the others: minimal is 1/2 |w|^2 + COST sum log(1 + exp(-y (w x + b)))."""
    inside, outside = (SMOOTHING + (table.T @ each.astype(np.float64)) for each in (has, ~has))
    ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
    weighted = table.multiply(ratio).tocsr()
    turned = weighted.T.tocsr()
    sign = np.where(has, 1.0, -1.0)

    def loss(w: Float[Array, " features_and_one"]) -> tuple[float, Float[Array, " features_and_one"]]:
        margin = sign * (weighted @ w[:-1] + w[-1])
        slope = -COST * sign / (1 + np.exp(np.minimum(margin, 500)))
        gradient = np.append(w[:-1] + turned @ slope, slope.sum())
        return float((w[:-1] ** 2).sum() / 2 + COST * np.logaddexp(0, -margin).sum()), gradient

    found = minimise(loss, np.zeros(len(ratio) + 1), _ROUNDS)
    learned, bias = found[:-1], found[-1]
    drawn = beta * learned + (1 - beta) * np.abs(learned).mean()
    return np.append(drawn * ratio, bias)
