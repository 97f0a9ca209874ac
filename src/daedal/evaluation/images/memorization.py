"""Whether samples are copies of training pictures.

- the nearest training picture of each sample, by features, to be looked at side by side
- authenticity (Alaa et al. 2022, arXiv:2102.08921): the share of samples whose nearest training picture is farther than
  that picture's own nearest training picture; about half for pictures as new as the training pictures are to each other,
  less where they are copied
- the data-copying test (Meehan et al. 2020, arXiv:2004.05675), in one cell: are samples nearer to the training pictures
  than held-out pictures are? Mann and Whitney's U over the distances; a p-value under 0.01 is copying
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.images.features import finite
from daedal.evaluation.intervals import LEVEL, normal
from daedal.evaluation.means import Interval, wilson

METHOD = "Newcombe's score interval of Mann and Whitney's U, 95 %"
_PAIRS = 2**22
_NEVER = 1e-12


@dataclass(frozen=True)
class Nearest:
    """For each picture its nearest training picture.

    Attributes:
        distances: in the features.
        indices: of the training pictures.
    """

    distances: Float[np.ndarray, " n"]
    indices: Int[np.ndarray, " n"]


@dataclass(frozen=True)
class Authenticity:
    """The share of samples that are no copies by the rule of Alaa et al."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class CopyTest:
    """Whether samples are nearer to the training pictures than held-out pictures are.

    Attributes:
        p: how often chance alone would bring them so near.
        probability: that a sample is farther from the training pictures than a held-out picture: a half where neither is
            nearer.
    """

    p: float
    probability: float
    interval: Interval


def nearest(pictures: Float[Tensor, "n features"], train: Float[Tensor, "m features"]) -> Nearest:
    """The nearest training picture of each.

    Raises:
        DaedalError: there is none, or features are NaN or infinite.
    """
    return _nearest(pictures, train, None)


def nearest_of(train: Float[Tensor, "m features"], numbers: Int[np.ndarray, " n"]) -> Nearest:
    """The nearest other training picture of the training pictures with these numbers."""
    return _nearest(train[torch.from_numpy(numbers)], train, torch.from_numpy(numbers))


def _nearest(
    pictures: Float[Tensor, "n features"], train: Float[Tensor, "m features"], own: Int[Tensor, " n"] | None
) -> Nearest:
    least = 1 if own is None else 2
    if len(train) < least:
        raise DaedalError(f"What is nearest needs {least} to choose from, and there are {len(train)}", "Take more")
    pictures, train = (finite(features, "A search for copies") for features in (pictures, train))
    distances, indices = [], []
    rows = max(1, _PAIRS // len(train))
    for start in range(0, len(pictures), rows):
        some = pictures[start : start + rows]
        part = torch.cdist(some, train)
        if own is not None:
            part.scatter_(1, own[start : start + rows, None], torch.inf)
        place = part.argmin(1)
        indices.append(place)
        # Found by products, which cancel; measured by differences: copies are 0 apart, and equal pairs equally far
        distances.append((some - train[place]).square().sum(1).sqrt())
    return Nearest(torch.cat(distances).numpy(), torch.cat(indices).numpy())


def authenticity(samples: Nearest, train: Nearest) -> Authenticity:
    """From the samples' and the training pictures' own nearest training pictures."""
    new = samples.distances > train.distances[samples.indices]
    return Authenticity(float(new.mean()), wilson(int(new.sum()), len(new)))


def copy_test(samples: Nearest, held_out: Nearest) -> CopyTest:
    """Mann and Whitney's test, with the normal approximation and the correction for ties.

    Raises:
        DaedalError: there are fewer than 20 of either: the approximation would be poor.
    """
    x, y = samples.distances, held_out.distances
    n, m = len(x), len(y)
    if min(n, m) < 20:
        raise DaedalError(
            f"The test for copies needs 20 samples and 20 that were held out, and there are {n} and {m}", "Take more"
        )
    from scipy.stats import mannwhitneyu

    if np.ptp(np.concatenate([x, y])) == 0:
        u, p = n * m / 2, 0.5
    else:
        u, p = mannwhitneyu(x, y, alternative="less", method="asymptotic", use_continuity=False)
    return CopyTest(float(p), float(u) / (n * m), _probability_interval(float(u) / (n * m), n, m))


def _probability_interval(share: float, n: int, m: int) -> Interval:
    """The probabilities that are no farther away than 1.96 of their own standard errors, by the variance of Hanley and McNeil
    (method 5 of Newcombe 2006, doi:10.1002/sim.2324): never outside 0 to 1, and no point where all samples are copies."""
    from scipy.optimize import brentq

    z, exponent = normal((1 + LEVEL) / 2), (n + m) / 2 - 1

    def beyond(p: float) -> float:
        variance = p * (1 - p) * (1 + exponent * ((1 - p) / (2 - p) + p / (1 + p))) / (n * m)
        return (p - share) ** 2 - z * z * variance

    inside = min(max(share, _NEVER), 1 - _NEVER)  # at 0 and 1 the error is none, and they would be ends of their own
    low = 0.0 if share < _NEVER else float(brentq(beyond, 0.0, inside))
    high = 1.0 if share > 1 - _NEVER else float(brentq(beyond, inside, 1.0))
    return low, high
