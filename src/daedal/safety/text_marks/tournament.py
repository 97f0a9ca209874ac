"""SynthID's tournament (Dathathri et al. 2024, doi:10.1038/s41586-024-08025-4): of many draws from the model those win, in
rounds of pairs, whose bit of the round says so; the bits of a token follow from the key and the tokens before.

A round makes p into p (1 + g - E[g]), so the tournament of any number of draws is a few products. Averaged over keys p stays as
it is. The last choice among what is left is chance: samples of one prompt differ, and so do repetitions. Our bits are the bits
of one word per token, in place of a table of keys; the rounds are fewer than SynthID's 30, as those after the first few find
nothing more to decide where little is left to chance, and cost time and evidence (docs/watermarks.md has the curve).
"""

import numpy as np
from jaxtyping import Float64, UInt64
from pydantic import Field

from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.tails import binomial_tail


class Tournament(Scheme):
    """
    Attributes:
        rounds: of the tournament, one bit each.
    """

    label = "tournament/1"
    faithful = True

    rounds: int = Field(default=8, ge=1, le=64)

    def won(
        self, chances: Float64[np.ndarray, "batch candidates"], words: UInt64[np.ndarray, "batch candidates"]
    ) -> Float64[np.ndarray, "batch candidates"]:
        """The probabilities with which candidates win, in place of those with which they are drawn. Both sum to 1."""
        rounds = np.arange(self.rounds, dtype=np.uint64)[:, None, None]
        gains = ((words >> rounds) & np.uint64(1)).astype(np.float64)  # [rounds, batch, candidates]
        won = chances.copy()
        if len(won) == 1:  # which is half the work without the axis of rows
            for gain in gains[:, 0]:
                gain += 1 - float(won[0] @ gain)
                won[0] *= gain
            return won
        for gain in gains:
            gain += 1 - np.vecdot(won, gain)[:, None]
            won *= gain
        return won

    def fit(self, words: UInt64[np.ndarray, " places"]) -> Float64[np.ndarray, " places"]:
        bits = words & np.uint64(2**self.rounds - 1)
        fit: Float64[np.ndarray, " places"] = np.bitwise_count(bits).astype(np.float64)
        return fit

    def tail(self, total: float, places: int) -> float:
        return binomial_tail(round(total), places * self.rounds, 0.5)
