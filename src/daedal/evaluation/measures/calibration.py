"""Whether a model is right as often as it says: expected calibration error, the bins behind it, and the Brier score."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

BINS = 15
_SIMULATED = 500


@dataclass(frozen=True)
class Bins:
    """Examples in order of how sure the model is, in bins of equal number.

    Attributes:
        sure: the mean probability that it gives what it says.
        right: how often that is right.
    """

    count: Int[np.ndarray, " bins"]
    sure: Float[np.ndarray, " bins"]
    right: Float[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """The expected calibration error: how far the two are apart, on average over the examples (Naeini et al. 2015; bins of
        equal mass as Nguyen and O'Connor 2015, which do not leave a bin to one example)."""
        return float(self.count @ np.abs(self.sure - self.right) / self.count.sum())


def bins(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"] | Float[np.ndarray, " n"], most: int = BINS
) -> Bins:
    """Up to `most` bins; of fewer examples than that each is its own."""
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(most, len(order)))
    means = [(confidence[part].mean(), right[part].mean()) for part in parts]
    sure, hits = np.array(means, dtype=np.float64).T
    return Bins(np.array([len(part) for part in parts]), sure, hits)


def by_chance(confidence: Float[np.ndarray, " n"], seed: int = 0) -> float:
    """The error that a perfectly calibrated model that is as sure would have on so few examples, on average: it is never 0."""
    generator = np.random.Generator(np.random.Philox(seed))
    ordered = np.sort(confidence)
    drawn = [bins(ordered, generator.random(len(ordered)) < ordered).error for _ in range(_SIMULATED)]
    return float(np.mean(drawn))


def brier(
    probabilities: Float[np.ndarray, "examples classes"], truth: Int[np.ndarray, " examples"]
) -> Float[np.ndarray, " examples"]:
    """The squared distance of each example's probabilities from what is true, 0 to 2 (Brier 1950). A class that the model does
    not know, -1, is one that it gives no probability."""
    squares = (probabilities**2).sum(1)
    known = truth >= 0
    given = np.where(known, probabilities[np.arange(len(truth)), np.maximum(truth, 0)], 0.0)
    found: Float[np.ndarray, " examples"] = squares - 2 * given + 1
    return found
