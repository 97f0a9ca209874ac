"""Confidence intervals of the image metrics: how sure a number is for other pictures of the same kinds."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.intervals import LEVEL, student_t
from daedal.evaluation.means import Interval


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
