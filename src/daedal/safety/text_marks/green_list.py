"""A green list (Kirchenbauer et al. 2023, arXiv:2301.10226) by a stateless hash: after the same tokens the key makes the same
part of the vocabulary more likely. It changes the distribution, and in exchange it is found where little is left to chance.

No permutation of the vocabulary is drawn: a token is green where its word is below the share, so a detector looks at the tokens
of the text alone.
"""

from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, UInt64
from pydantic import Field

from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.tails import binomial_tail


class GreenList(Scheme):
    """
    Attributes:
        share: of the tokens that are green after the same tokens.
        bias: added to the logits of green tokens, after temperature and what restricts.
    """

    label = "green-list/1"
    faithful = False

    context: int = Field(default=2, ge=1, le=64)
    share: float = Field(default=0.25, gt=0, lt=1)
    bias: float = Field(default=2.0, gt=0, le=100)

    @cached_property
    def _below(self) -> int:
        return min(2**64 - 1, max(1, int(self.share * 2**64)))

    def _told(self, field: str) -> bool:
        return field != "bias" and super()._told(field)  # which no detector has to know

    def green(self, words: UInt64[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
        return words < np.uint64(self._below)

    def fit(self, words: UInt64[np.ndarray, " places"]) -> Float64[np.ndarray, " places"]:
        return self.green(words).astype(np.float64)

    def tail(self, total: float, places: int) -> float:
        return binomial_tail(round(total), places, self._below / 2**64)
