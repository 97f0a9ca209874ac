"""How much a number depends on which examples were drawn, and on their order: the same items, asked after others.

Of $k$ draws the accuracies $a_1 \\dots a_k$ vary by chance alone too, as single items go this way or that: by
$\\sum_i s_i^2 / n^2$, where $s_i^2$ is the variance of item $i$ over the draws. What the variance of the accuracies has beyond
that is what items have in common: the choice makes the model better or worse at all of them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from daedal.evaluation.intervals import LEVEL


class Sensitivity(NamedTuple):
    """How a mean varies over draws.

    Attributes:
        deviation: its standard deviation.
        interval: of that.
        beyond: what of it single items do not explain.
        least, most: the means of the worst and the best draw.
    """

    deviation: float
    interval: tuple[float, float]
    beyond: float
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
        float(means.min()), float(means.max()),
    )  # fmt: skip
