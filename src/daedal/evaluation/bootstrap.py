"""Confidence intervals of what is no mean: the bootstrap over sums of sufficient statistics (Efron 1979).

Most measures are functions of a few sums over examples: F1 of counts of hits and misses, BLEU of counts of n-grams. Drawing
examples with replacement then is drawing how often each is counted, and a product of two matrices gives the sums of all
replicates: tens of thousands in a second, where counting again takes minutes (`benchmarks/bootstrap.py`).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.intervals import LEVEL

REPLICATES = 2000
_CELLS = 2**22  # numbers that are drawn at once

Sums = Float[np.ndarray, "replicates statistics"]


def bootstrap(
    statistics: Float[np.ndarray, "pieces statistics"],
    measure: Callable[[Sums], Float[np.ndarray, " replicates"]],
    times: Int[np.ndarray, " pieces"] | None = None,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
) -> tuple[float, float] | None:
    """The percentile interval of a function of sums over pieces that are independent; None for fewer than two pieces.

    Args:
        statistics: of each piece; those of pieces that belong together, as questions about one text, are summed before.
        measure: of sums, a row for each replicate.
        times: how many pieces there are of each of these statistics, where equal ones were put together; one unless given.
        seed: of the draws: the same seed gives the same interval.
    """
    n = len(statistics) if times is None else int(times.sum())
    if n < 2:
        return None
    generator = np.random.Generator(np.random.Philox(seed))
    rows = max(1, _CELLS // statistics.size)
    found = []
    for first in range(0, replicates, rows):
        count = min(rows, replicates - first)
        drawn = _counts(generator, n, count) if times is None else generator.multinomial(n, times / n, size=count)
        found.append(measure(drawn.astype(np.float64) @ statistics))
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _counts(generator: np.random.Generator, n: int, rows: int) -> Int[np.ndarray, "rows n"]:
    """How often each of `n` equal pieces comes in as many draws, a row for each replicate: counted from the draws themselves,
    which takes a sixth of the time of a multinomial distribution of so many outcomes."""
    drawn = generator.integers(0, n, size=(rows, n), dtype=np.uint16 if n <= 2**16 else np.uint32).astype(np.int64)
    drawn += n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)


def method(pieces: str, replicates: int = REPLICATES) -> str:
    """How such an interval was found, for its measurement."""
    return f"percentile bootstrap of {replicates:,} replicates over {pieces}, 95 %"


def clustered(
    statistics: Float[np.ndarray, "examples statistics"], cluster: Int[np.ndarray, " examples"]
) -> Float[np.ndarray, "clusters statistics"]:
    """The sums over the examples of each cluster."""
    numbers, place = np.unique(cluster, return_inverse=True)
    sums = np.zeros((len(numbers), statistics.shape[1]))
    np.add.at(sums, place, statistics)
    return sums
