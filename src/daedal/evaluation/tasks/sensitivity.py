"""How much a number depends on what should not matter: which examples were drawn, their order, the place of the right choice
(Lu et al. 2022; Zhao et al. 2021). The same items are asked in several arrangements.

Of $k$ draws the accuracies $a_1 \\dots a_k$ vary by chance alone too, as single items go this way or that: by
$\\sum_i s_i^2 / n^2$, where $s_i^2$ is the variance of item $i$ over the draws. What the variance of the accuracies has beyond
that is what items have in common: the choice makes the model better or worse at all of them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.intervals import LEVEL


class Sensitivity(NamedTuple):
    """How a mean varies over draws.

    Attributes:
        deviation: its standard deviation.
        interval: of that.
        beyond: what of it single items do not explain.
        p: how often draws that do not matter differ as much (analysis of variance of items and draws, F).
        least, most: the means of the worst and the best draw.
    """

    deviation: float
    interval: tuple[float, float]
    beyond: float
    p: float
    least: float
    most: float


def sensitivity(draws: Sequence[Float[np.ndarray, " items"]]) -> Sensitivity:
    """Of the values of the same items in two draws or more."""
    from scipy.special import chdtri

    values = np.stack(draws)
    count, items = values.shape
    means = values.mean(1)
    variance = float(means.var(ddof=1))
    noise = float(values.var(axis=0, ddof=1).sum()) / items**2
    freedom, tail = count - 1, (1 - LEVEL) / 2
    ends = (freedom * variance / float(chdtri(freedom, tail)), freedom * variance / float(chdtri(freedom, 1 - tail)))
    return Sensitivity(
        math.sqrt(variance), (math.sqrt(ends[0]), math.sqrt(ends[1])), math.sqrt(max(0.0, variance - noise)),
        _p(values), float(means.min()), float(means.max()),
    )  # fmt: skip


def _p(values: Float[np.ndarray, "draws items"]) -> float:
    from scipy.special import fdtrc

    count, items = values.shape
    means = values.mean(1)
    between = items * float(means.var(ddof=1))
    rest = values - means[:, None] - values.mean(0) + values.mean()
    freedom = (count - 1) * (items - 1)
    if items < 2 or between < 1e-12:
        return 1.0
    within = float((rest**2).sum()) / freedom
    return 0.0 if within < 1e-12 else float(fdtrc(count - 1, freedom, between / within))


class Places(NamedTuple):
    """Whether a model prefers a place, whatever stands there.

    Attributes:
        chosen: how often each place was chosen, a share; all the same for a model without a preference.
        steady: the share of items whose choice is the same text in all rotations.
    """

    chosen: Float[np.ndarray, " places"]
    steady: float


def preferred_places(said: Int[np.ndarray, "rotations items"], count: int) -> Places:
    """Of the places that were chosen, where rotation `r` moved choices by `r` of `count` places to the front."""
    original = (said + np.arange(len(said))[:, None]) % count
    return Places(
        np.bincount(said.ravel(), minlength=count) / said.size, float((original == original[0]).all(0).mean())
    )
