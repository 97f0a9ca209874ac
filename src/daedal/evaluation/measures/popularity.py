"""Whether what is recommended is as popular as what people take: the lift of its popularity, and how its shares of popular and
of rare items agree with each person's own (calibration; Steck 2018, doi:10.1145/3240323.3240372)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

Array = np.ndarray
BINS = 5
EXPONENT = 0.5
"""Of a count, whose power is how likely an item was seen (Saito et al. 2020, arXiv:1909.03601)."""
_MIXED = 0.01  # of a person's own shares, in those of what is recommended: what lacks in these would be infinitely far


class Popularities:
    """How popular items are.

    Args:
        counts: how often each was taken; only those that were are ranked.

    Attributes:
        percentile: of each, from 0 for the rarest to 1 for the most taken, equal of equal ones.
        propensities: of each, up to a factor; an item that nobody took is as one that one did.
        bins: of each, from 0 for the rarest; each bin holds about as many takings.
    """

    def __init__(self, counts: Float[Array, " vocab"]) -> None:
        from scipy.stats import rankdata

        taken = counts > 0
        self.percentile = np.zeros(len(counts))
        self.percentile[taken] = (rankdata(counts[taken]) - 1) / max(1, taken.sum() - 1)
        self.propensities = np.maximum(counts, 1.0) ** EXPONENT
        order = np.argsort(counts, kind="stable")
        before = np.cumsum(counts[order]) - counts[order] / 2
        self.bins = np.zeros(len(counts), dtype=np.int64)
        self.bins[order] = np.minimum(BINS - 1, BINS * before / max(1.0, counts.sum())).astype(np.int64)

    def lift(
        self, best: Int[Array, "histories first"], histories: Sequence[Int[Array, " items"]]
    ) -> Float[Array, " histories"]:
        """By how much the percentile of what is recommended is above that of what was taken, on average."""
        taken = np.array([self.percentile[each].mean() if len(each) else np.nan for each in histories])
        lift: Float[Array, " histories"] = self.percentile[best].mean(1) - taken
        return lift

    def miscalibration(
        self, best: Int[Array, "histories first"], histories: Sequence[Int[Array, " items"]]
    ) -> Float[Array, " histories"]:
        """KL in nats from the shares of the bins in a history to those in what is recommended."""
        own = np.stack([np.bincount(self.bins[each], minlength=BINS) / max(1, len(each)) for each in histories])
        said = np.stack([np.bincount(self.bins[each], minlength=BINS) / len(each) for each in best])
        mixed = (1 - _MIXED) * said + _MIXED * own
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Array = np.where(own > 0, own * np.log(own / mixed), 0.0).sum(1)
        return found
