"""Numbers beside the true ones: Spearman's and Pearson's correlations."""

import math

import numpy as np
from jaxtyping import Float

from daedal.evaluation.intervals import LEVEL, normal

FISHER = "Fisher's z, 95 %"
BONETT = "Fisher's z with Bonett and Wright's error, 95 %"


def pearson(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> float:
    """The linear correlation; 0 where one of them does not vary."""
    a, b = one - one.mean(), other - other.mean()
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return max(-1.0, min(1.0, float(a @ b) / norm)) if norm > 0 else 0.0


def spearman(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> float:
    """The correlation of ranks, equal values sharing their mean rank (Spearman 1904)."""
    from scipy.stats import rankdata

    return pearson(rankdata(one), rankdata(other))


def pearson_interval(value: float, n: int) -> tuple[float, float] | None:
    """By Fisher's transformation (1915); None for fewer than four."""
    return _fisher(value, 1 / math.sqrt(n - 3)) if n > 3 else None


def spearman_interval(value: float, n: int) -> tuple[float, float] | None:
    """The same with the error of ranks (Bonett and Wright 2000, doi:10.1007/BF02294183)."""
    return _fisher(value, math.sqrt((1 + value**2 / 2) / (n - 3))) if n > 3 else None


def _fisher(value: float, error: float) -> tuple[float, float]:
    if abs(value) >= 1:
        return value, value
    half = normal((1 + LEVEL) / 2) * error
    return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)
