"""Confidence intervals of the image metrics: how sure a number is for other pictures of the same kinds."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.measurement import LEVEL, student_t

Interval = tuple[float, float]
NORMAL = NormalDist().inv_cdf((1 + LEVEL) / 2)
WILSON = "Wilson's, 95 %"
MOVER = "MOVER over Wilson's, 95 %"
STUDENT = "Student's t over the pictures, 95 %"


def mean_interval(values: Float[np.ndarray, " pieces"], possible: Interval = (-math.inf, math.inf)) -> Interval | None:
    """Of the mean of independent values, never outside what is `possible` for one; None for fewer than two."""
    n = len(values)
    if n < 2:
        return None
    half = student_t((1 + LEVEL) / 2, n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    mean, (least, most) = float(np.mean(values)), possible
    return min(mean, max(least, mean - half)), max(mean, min(most, mean + half))


def wilson(hits: int, n: int) -> Interval | None:
    """Of a share, never outside 0 to 1 (Wilson 1927)."""
    if n < 1:
        return None
    z = NORMAL
    share, scale = hits / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def mover(values: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Of the mean of independent numbers that have intervals of their own, whose halves are joined as errors are (method of
    variance estimates recovery: Zou, Huang and Zhang 2009). Of shares it is never outside 0 to 1, and never a point."""
    low, high = np.array(intervals).T
    mean, n = float(np.mean(values)), len(values)
    return mean - float(np.hypot.reduce(values - low)) / n, mean + float(np.hypot.reduce(high - values)) / n


def student_around(value: float, error: float, freedom: int) -> Interval:
    """Student's interval from a standard error."""
    half = student_t((1 + LEVEL) / 2, freedom) * error
    return value - half, value + half


def groups_of(n: int, groups: int, generator: np.random.Generator) -> list[Int[np.ndarray, " size"]]:
    """The numbers 0 to n - 1 dealt out by chance into groups of almost the same size."""
    return [np.sort(part) for part in np.array_split(generator.permutation(n), min(groups, n))]


def jackknife_error(
    estimate: Callable[[Sequence[Int[np.ndarray, " kept"]]], Float[np.ndarray, " numbers"]],
    sizes: Sequence[int],
    groups: int,
    generator: np.random.Generator,
) -> Float[np.ndarray, " numbers"]:
    """Standard errors of numbers that are computed from several independent samples, by leaving out one group of one sample
    at a time (delete-a-group jackknife: Kott 2001). Unlike the bootstrap it never repeats a picture, which nearest
    neighbours would notice.

    Args:
        estimate: the numbers, from the members of each sample that are kept.
        sizes: of the samples.
    """
    everyone = [np.arange(size) for size in sizes]
    variance: Float[np.ndarray, " numbers"] | float = 0.0
    for place, size in enumerate(sizes):
        parts = groups_of(size, groups, generator)
        left_out = []
        for part in parts:
            kept = [*everyone]
            kept[place] = np.delete(everyone[place], part)
            left_out.append(estimate(kept))
        stacked = np.stack(left_out)
        variance = variance + (len(parts) - 1) / len(parts) * ((stacked - stacked.mean(0)) ** 2).sum(0)
    return np.sqrt(variance)
