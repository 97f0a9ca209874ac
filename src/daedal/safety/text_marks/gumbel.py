"""Gumbel noise by a key (Aaronson 2022; the exponential minimum of Kuditipudi et al. 2023, arXiv:2307.15593): the token is
still the largest of log-probability plus noise, but the noise of a token follows from the key and the tokens before.

Averaged over keys the text is distributed as the unmarked. With one key, what follows the same tokens is always the same; so
after tokens that were there before in the text the noise is chance again, or texts would run in circles.
"""

import numpy as np
from jaxtyping import Float32, Float64, UInt64

from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.tails import gamma_tail


class Gumbel(Scheme):
    """
    Attributes:
        context: see `Scheme`.
    """

    label = "gumbel/1"
    faithful = True

    def noise(self, words: UInt64[np.ndarray, " vocab"]) -> Float32[np.ndarray, " vocab"]:
        """Standard Gumbel noise of tokens."""
        uniform = (words >> np.uint64(40)).astype(np.float32)
        uniform *= np.float32(2**-24)
        uniform += np.float32(2**-26)  # so that none is 0; the largest, 1 - 2**-24, stays what it is
        for _ in range(2):
            np.log(uniform, out=uniform)
            np.negative(uniform, out=uniform)
        return uniform

    def fit(self, words: UInt64[np.ndarray, " places"]) -> Float64[np.ndarray, " places"]:
        """-log(1 - u), where u is uniform: exponential by chance, and larger where the noise was the largest."""
        return -np.log1p(-((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2**-52)

    def tail(self, total: float, places: int) -> float:
        return gamma_tail(total, places)
