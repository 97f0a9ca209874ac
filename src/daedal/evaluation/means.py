"""Confidence intervals of means and shares of independent pieces of equal weight: pictures, texts, questions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from daedal.evaluation.intervals import LEVEL, normal, ratio, student_t

Interval = tuple[float, float]
WILSON = "Wilson's, Poisson's ends beside 0 and 1, 95 %"
STRATIFIED = "stratified Wilson's (Yan and Su 2010), 95 %"


def student(pieces: str) -> str:
    """How the interval of a mean was found, for its measurement."""
    return f"Student's t over the {pieces}, 95 %"


def mean_interval(values: Float[np.ndarray, " pieces"], possible: Interval = (-math.inf, math.inf)) -> Interval | None:
    """Of the mean of independent values, never outside what is `possible` for one; None for fewer than two."""
    n = len(values)
    if n < 2:
        return None
    half = student_t((1 + LEVEL) / 2, n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    mean, (least, most) = float(np.mean(values)), possible
    return min(mean, max(least, mean - half)), max(mean, min(most, mean + half))


def wilson(hits: float, n: int) -> Interval | None:
    """Of a share, never outside 0 to 1 (Wilson 1927). Beside 0 and 1, where Wilson's ends come too near, the outer end is
    Poisson's one-sided one (Brown, Cai and DasGupta 2001, doi:10.1214/ss/1009213286, section 4.1.1)."""
    if n < 1:
        return None
    low, high = _wilson(hits / n, n, normal((1 + LEVEL) / 2))
    few = 2 if n <= 50 else 3
    if 1 <= hits <= few:
        low = _poisson_end(hits) / n
    if 1 <= n - hits <= few:
        high = 1 - _poisson_end(n - hits) / n
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


def share_of(hits: float, n: int) -> dict[str, Any]:
    """A share as the fields of a measurement."""
    return {"value": hits / n, "interval": wilson(hits, n), "interval_method": WILSON, "n": n}


def share_of_pieces(
    hits: Float[np.ndarray, " pieces"], sizes: Float[np.ndarray, " pieces"], pieces: str, most: float = 1.0
) -> dict[str, Any]:
    """A mean of values from 0 to `most` that stand in independent pieces of different size, as words do in sentences, as fields
    of a measurement: the interval is that of a ratio; where all values are at one end, it says nothing, and Wilson's of as
    many values as there are pieces is given.

    Args:
        hits: the sum of the values in each piece, of which there are `sizes`.
        pieces: what they are called.
    """
    value, n = float(hits.sum() / sizes.sum()), int((sizes > 0).sum())
    if value in (0.0, most):
        ends = wilson(n if value else 0, n) if n > 1 else None
        interval, method = ends and (most * ends[0], most * ends[1]), f"{WILSON}, of as many as there are {pieces}"
    else:
        found = ratio(hits, sizes)
        ends = None if found is None else found.interval
        interval = ends and (max(0.0, ends[0]), min(most, ends[1]))
        method = f"Student's t by Bell and McCaffrey over {pieces}, 95 %"
    return {"value": value, "interval": interval, "interval_method": method if interval else ""}


def stratified(hits: Sequence[float], sizes: Sequence[int], weights: Sequence[float] | None = None) -> Interval | None:
    """Of a weighted mean of shares of independent samples, never outside 0 to 1 and never a point: the weighted mean of
    Wilson's intervals at a level of their own, so that the mean has 95 % (Yan and Su 2010, doi:10.1198/sbr.2009.0073).

    Args:
        weights: of the samples, together 1; equal unless given.
    """
    if not len(sizes) or min(sizes) < 1:
        return None
    n = np.asarray(sizes, dtype=np.float64)
    share = np.asarray(hits) / n
    weight = np.full(len(n), 1 / len(n)) if weights is None else np.asarray(weights, dtype=np.float64)
    spread = np.sqrt(share * (1 - share) / n)
    if not spread.any():
        spread = 1 / np.sqrt(n)  # all shares are 0 or 1: as if they were equally uncertain
    z = normal((1 + LEVEL) / 2) * float(np.linalg.norm(weight * spread) / (weight @ spread))
    low, high = np.array([_wilson(each, size, z) for each, size in zip(share, n, strict=True)]).T
    return float(weight @ low), float(weight @ high)


def _wilson(share: float, n: float, z: float) -> Interval:
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _poisson_end(hits: float) -> float:
    """The mean of a Poisson variable that is `hits` or more in one case of twenty."""
    from scipy.special import gammaincinv

    return float(gammaincinv(hits, 1 - LEVEL))
