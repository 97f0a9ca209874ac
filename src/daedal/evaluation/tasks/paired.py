"""Two models on the same items: by how much they differ, whether that is more than noise, and what so many items could show.

Items that both find hard cancel: the difference of each item is what is resampled (Efron 1979). Whether right answers differ is
McNemar's exact test (1947), anything else the paired t-test; of several tasks, Holm's correction (1979).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from daedal.evaluation.bootstrap import bootstrap
from daedal.evaluation.intervals import LEVEL, normal, student_t

POWER = 0.8


class Difference(NamedTuple):
    """One model's mean minus another's over the same items.

    Attributes:
        interval: of it.
        p: how often as large a difference comes by chance.
        detectable: the smallest difference that so many such items show with a power of 80 %.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    p: float
    detectable: float
    n: int


def difference(
    name: str, one: Float[np.ndarray, " items"], other: Float[np.ndarray, " items"], seed: int = 0
) -> Difference:
    """One minus the other."""
    apart = one - other
    value, interval = mean_difference(apart, seed)
    binary = bool(np.isin(one, (0.0, 1.0)).all() and np.isin(other, (0.0, 1.0)).all())
    p = mcnemar(int((apart > 0).sum()), int((apart < 0).sum())) if binary else _paired_t(apart)
    return Difference(name, value, interval, p, detectable(apart), len(apart))


def mean_difference(apart: Float[np.ndarray, " items"], seed: int = 0) -> tuple[float, tuple[float, float] | None]:
    """The mean of paired differences, with its interval by the bootstrap over items."""
    statistics = np.stack([apart, np.ones(len(apart))], axis=1)
    return float(apart.mean()), bootstrap(statistics, lambda sums: sums[:, 0] / sums[:, 1], seed=seed)


def mcnemar(one: int, other: int) -> float:
    """The exact two-sided test of whether two models are right alone equally often.

    Args:
        one, other: items that only the one, and only the other has right.
    """
    from scipy.stats import binom

    if one + other == 0:
        return 1.0
    return min(1.0, 2 * float(binom.cdf(min(one, other), one + other, 0.5)))


def _paired_t(apart: Float[np.ndarray, " items"]) -> float:
    from scipy.special import stdtr

    n = len(apart)
    error = float(apart.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if error == 0.0:
        return 1.0 if not apart.any() else 0.0 if n > 1 else 1.0
    return 2 * float(stdtr(n - 1, -abs(float(apart.mean())) / error))


def detectable(apart: Float[np.ndarray, " items"]) -> float:
    """The smallest true difference that as many items, whose differences vary as these do, show in four of five trials."""
    n = len(apart)
    if n < 2:
        return math.inf
    # Of items that do not differ at all one might have
    spread = max(float(apart.std(ddof=1)), math.sqrt(1 / n) if np.isin(apart, (-1, 0, 1)).all() else 0.0)
    return (student_t((1 + LEVEL) / 2, n - 1) + normal(POWER)) * spread / math.sqrt(n)


def holm(ps: Sequence[float]) -> list[float]:
    """The p-values of several tests, corrected so that one false claim among all comes in one of twenty cases at most."""
    order = np.argsort(np.array(ps), kind="stable")
    found, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
        found[place] = largest
    return found


def verdict(found: Difference, corrected: float) -> str:
    """What may be claimed."""
    if corrected < 1 - LEVEL:
        return "better" if found.value > 0 else "worse"
    return "within noise"
