"""The kernel distance of two sets of features (KID: Bińkowski et al. 2018, arXiv:1801.01401): the unbiased squared maximum
mean discrepancy under the kernel `(x.y / d + 1)^3`, over subsets, as torch-fidelity draws them.

- unbiased: near zero, and as often below as above, where the two kinds are the same, however few the pictures
- one pass over the pairs of pictures gives all subsets and the jackknife's groups: sums of blocks of the kernel matrix
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.images.features import finite
from daedal.evaluation.images.intervals import groups_of, student_around
from daedal.evaluation.means import Interval

SUBSETS, SUBSET, SEED = 100, 1000, 2020
GROUPS = 20
METHOD = (
    f"delete-a-group jackknife over both sets, {GROUPS} groups each, and the spread of the subsets, Student's t, 95 %"
)
_ROWS = 1024


@dataclass(frozen=True)
class KernelDistance:
    """The mean and the standard deviation (divisor n) over the subsets, and the mean's interval."""

    value: float
    deviation: float
    interval: Interval


def kernel_distance(
    samples: Float[Tensor, "n features"], reference: Float[Tensor, "m features"],
    subsets: int = SUBSETS, size: int = SUBSET, seed: int = SEED,
) -> KernelDistance:  # fmt: skip
    """The kernel distance.

    Raises:
        DaedalError: there are fewer pictures than a subset has, or features are NaN or infinite.
    """
    n, m = len(samples), len(reference)
    least = max(size, GROUPS)
    if min(n, m) < least:
        raise DaedalError(
            f"A kernel distance of subsets of {size:,} needs {least:,} of both kinds, and there are {min(n, m):,}",
            "Take more",
        )
    draw = np.random.RandomState(seed)
    chosen = [np.zeros((subsets, count)) for count in (n, m)]
    for subset in range(subsets):
        for rows, count in zip(chosen, (n, m), strict=True):
            rows[subset, draw.choice(count, size, replace=False)] = 1
    generator = np.random.default_rng(seed)
    for place, count in enumerate((n, m)):
        groups = np.zeros((GROUPS, count))
        for group, part in enumerate(groups_of(count, GROUPS, generator)):
            groups[group, part] = 1
        chosen[place] = np.concatenate([chosen[place], groups])
    x, y = (finite(features, "A kernel distance").cpu() for features in (samples, reference))
    mine, theirs = (torch.from_numpy(rows) for rows in chosen)
    xx, yy = _blocks(x, x, mine, mine, same=True), _blocks(y, y, theirs, theirs, same=True)
    xy = _blocks(x, y, mine, theirs)
    inside = (xx.diagonal()[:subsets] + yy.diagonal()[:subsets]) / (size * (size - 1))
    values = (inside - 2 * xy.diagonal()[:subsets] / size**2).numpy()
    error = math.sqrt(_jackknife(xx, yy, xy, mine, theirs, subsets) + float(np.var(values, ddof=1)) / subsets)
    value = float(values.mean())
    return KernelDistance(value, float(values.std()), student_around(value, error, GROUPS - 1))


def _blocks(
    x: Float[Tensor, "n features"], y: Float[Tensor, "m features"],
    rows: Float[Tensor, "sets n"], columns: Float[Tensor, "sets m"], same: bool = False,
) -> Float[Tensor, "sets sets"]:  # fmt: skip
    """Sums of the kernel over each pair of sets; where both are of the `same` pictures, without those of a picture with
    itself."""
    total = torch.zeros(len(rows), len(columns), dtype=torch.float64)
    for start in range(0, len(x), _ROWS):
        part = slice(start, start + _ROWS)
        kernel = (x[part] @ y.T).div_(x.shape[1]).add_(1)
        kernel *= kernel * kernel
        if same:
            kernel.diagonal(start).zero_()
        total += rows[:, part] @ (kernel @ columns.T)
    return total


def _jackknife(
    xx: Tensor, yy: Tensor, xy: Tensor, mine: Tensor, theirs: Tensor, subsets: int
) -> float:  # fmt: skip
    """Variance of the distance of all pictures, from the sums of the groups' blocks."""
    xx, yy, xy = (blocks[subsets:, subsets:] for blocks in (xx, yy, xy))
    n, m = mine[subsets:].sum(1), theirs[subsets:].sum(1)
    variance = 0.0
    for own, other, cross, counts, size in ((xx, yy, xy, n, m.sum()), (yy, xx, xy.T, m, n.sum())):
        left = counts.sum() - counts
        inside = own.sum() - own.sum(0) - own.sum(1) + own.diagonal()
        across = cross.sum() - cross.sum(1)
        value = inside / (left * (left - 1)) + other.sum() / (size * (size - 1)) - 2 * across / (left * size)
        variance += (len(value) - 1) * float(value.var(correction=0))
    return variance
