"""How varied texts are: n-grams that differ, over all texts, and n-grams that a text says again."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from daedal.evaluation.predictors.words import words


def distinct(texts: Iterable[str], order: int) -> float:
    """Different n-grams of all texts, as a share of their n-grams (Li et al. 2016, arXiv:1510.03055). It falls with the
    amount of text: only of as many texts of about one length can two be compared."""
    every = [ngram for text in texts for ngram in _ngrams(text, order)]
    return len(set(every)) / len(every) if every else 0.0


def repeated(texts: Sequence[str], order: int = 4) -> Float[np.ndarray, " texts"]:
    """Of each text the share of its n-grams that it has said before; 0 where it has none."""
    found = np.zeros(len(texts))
    for place, text in enumerate(texts):
        ngrams = list(_ngrams(text, order))
        if ngrams:
            found[place] = 1 - len(set(ngrams)) / len(ngrams)
    return found


def _ngrams(text: str, order: int) -> Iterable[tuple[str, ...]]:
    said = words(text)
    return zip(*(said[place:] for place in range(order)), strict=False)
