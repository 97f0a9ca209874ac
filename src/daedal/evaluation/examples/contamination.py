"""Held-out texts that stand in the training text: whole, or a run of thirteen words of them (Brown et al. 2020, appendix C)."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool

from daedal.evaluation.predictors.words import words

RUN = 13
"""So many words are no coincidence."""


def contaminated(train: Iterable[str], texts: Sequence[str]) -> Bool[np.ndarray, " texts"]:
    """Which texts stand in the training text, letter case and punctuation aside: a text of at most 13 words as a whole training
    text, a longer one with a run of 13 words."""
    split = [_words(text) for text in texts]
    wanted = {run for each in split for run in _runs(each)}
    found: set[tuple[str, ...]] = set()
    for text in train:
        if not wanted:
            break
        found.update(run for run in _runs(_words(text)) if run in wanted)
    return np.array([any(run in found for run in _runs(each)) for each in split], dtype=bool)


def _words(text: str) -> list[str]:
    return [word for word in words(text) if word[0].isalnum()]


def _runs(split: Sequence[str]) -> Iterable[tuple[str, ...]]:
    """All runs of 13 words of a text; of a shorter one all of it, which its length tells from a run."""
    if not split:
        return ()
    return (tuple(split[at : at + RUN]) for at in range(max(1, len(split) - RUN + 1)))
