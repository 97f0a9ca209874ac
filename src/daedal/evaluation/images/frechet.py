"""The Fréchet distance of two sets of features, taken as Gaussian (Dowson and Landau 1982; as FID: Heusel et al. 2017,
arXiv:1706.08500), and what it would be with infinitely many pictures (Chong and Forsyth 2020, arXiv:1911.07023).

- `|m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)`
- of features: with `S1 = A'A` and `S2 = B'B` the last trace is the sum of the singular values of `A B'`. No covariance is
  formed, which would square what is small away: a set is at distance 0 from itself, however few the pictures
- of moments, which the jackknife has: the sum of the square roots of the eigenvalues of the symmetric `F' S2 F`, where
  `S1 = F F'`: never complex, and ten times as fast as the root of a matrix that is not symmetric
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.images.features import finite
from daedal.evaluation.images.intervals import groups_of, jackknife_error, student_around
from daedal.evaluation.images.moments import Moments
from daedal.evaluation.means import Interval

_METRIC = "A Fréchet distance"
POINTS = 15
GROUPS = 20
JACKKNIFE = f"delete-a-group jackknife over both sets, {GROUPS} groups each, Student's t, 95 %"


def distance_of_moments(one: Moments, other: Moments) -> float:
    """The distance of two Gaussians, in float64; the order does not matter.

    Raises:
        DaedalError: either is of fewer than two pictures, or of features that are NaN or infinite.
    """
    _enough(min(one.n, other.n), 2)
    for moments in (one, other):
        finite(moments.covariance, _METRIC, "directions")
    factor = _factor(one.covariance)
    return _distance(one, other, factor.T @ other.covariance @ factor)


def frechet_distance(one: Float[Tensor, "n features"], other: Float[Tensor, "m features"]) -> float:
    """The distance of two sets of features, in float64; the order does not matter.

    Raises:
        DaedalError: there are fewer than two of either, or some are NaN or infinite.
    """
    _enough(min(len(one), len(other)), 2)
    one, other = finite(one, _METRIC), finite(other, _METRIC)
    a, b = _deviations(one), _deviations(other)
    means = float(((one.mean(0) - other.mean(0)) ** 2).sum())
    shared = float(torch.linalg.svdvals(a @ b.T).sum())
    return max(0.0, means + float((a**2).sum() + (b**2).sum()) - 2 * shared)


def frechet_interval(
    one: Float[Tensor, "n features"], other: Float[Tensor, "m features"], value: float, seed: int
) -> Interval:
    """Where the distance would be for other pictures of the same two kinds, as many as here."""
    error = frechet_error(one, other, seed)
    low, high = student_around(value, error, GROUPS - 1)
    return max(0.0, low), high


def frechet_error(one: Float[Tensor, "n features"], other: Float[Tensor, "m features"], seed: int) -> float:
    """Standard error of the distance. The moments without a group come from those of the groups."""
    generator = np.random.default_rng(seed)
    if min(len(one), len(other)) <= one.shape[1]:

        def anew(kept: Sequence[Int[np.ndarray, " kept"]]) -> Float[np.ndarray, " one"]:
            return np.array([frechet_distance(one[kept[0]], other[kept[1]])])

        return float(jackknife_error(anew, (len(one), len(other)), GROUPS, generator)[0])
    variance, whole = 0.0, (Moments.of(one), Moments.of(other))
    for place, features in enumerate((one, other)):
        parts = [Moments.of(features[part]) for part in groups_of(len(features), GROUPS, generator)]
        left_out = []
        for part in parts:
            pair = [*whole]
            pair[place] = whole[place].without(part)
            left_out.append(distance_of_moments(pair[0], pair[1]))
        variance += (len(parts) - 1) / len(parts) * len(parts) * float(np.var(left_out))
    return math.sqrt(variance)


@dataclass(frozen=True)
class Extrapolated:
    """A distance extrapolated to infinitely many pictures.

    Attributes:
        error: standard error of the extrapolation alone, given the pictures.
        smallest: the smallest share of the pictures that was measured.
    """

    value: float
    error: float
    smallest: float


def extrapolate(
    one: Float[Tensor, "n features"], other: Float[Tensor, "m features"], seed: int, points: int = POINTS
) -> Extrapolated:
    """The distance of shares of both sets, drawn by the seed, is a straight line in one over the share; where the line
    meets zero there are infinitely many pictures of both kinds.

    Raises:
        DaedalError: fewer than four pictures for each feature, where the line would not be straight, or some are NaN or
            infinite.
    """
    n, width = min(len(one), len(other)), one.shape[1]
    _enough(n, 4 * width, f"{_METRIC} at infinity with {width} features")
    one, other = finite(one, _METRIC), finite(other, _METRIC)
    generator = np.random.default_rng(seed)
    smallest = max(0.2, 2 * width / n)
    shares = np.linspace(smallest, 1.0, points)
    values = []
    for share in shares:
        parts = (
            torch.from_numpy(generator.permutation(len(x))[: round(share * len(x))]).to(x.device) for x in (one, other)
        )
        values.append(frechet_distance(*(x[part] for x, part in zip((one, other), parts, strict=True))))
    design = np.stack([np.ones(points), 1 / shares], axis=1)
    solution, *_ = np.linalg.lstsq(design, np.array(values), rcond=None)
    residual = np.array(values) - design @ solution
    spread = float(residual @ residual) / (points - 2) * np.linalg.inv(design.T @ design)[0, 0]
    return Extrapolated(float(solution[0]), math.sqrt(max(0.0, spread)), smallest)


def _distance(one: Moments, other: Moments, between: Float[Tensor, "rank rank"]) -> float:
    means = float(((one.mean - other.mean) ** 2).sum())
    return max(0.0, means + float(one.covariance.trace() + other.covariance.trace()) - 2 * _roots(between))


def _roots(symmetric: Float[Tensor, "rank rank"]) -> float:
    """The sum of the square roots of the eigenvalues; those that are nothing but rounding count as zero. Features that never
    change leave no rank, and nothing to sum."""
    if not len(symmetric):
        return 0.0
    values = torch.linalg.eigvalsh((symmetric + symmetric.T) / 2)
    floor = torch.finfo(values.dtype).eps * len(values) * values.abs().max()
    return float(values[values > floor].sqrt().sum())


def _deviations(features: Float[Tensor, "n features"]) -> Float[Tensor, "rank features"]:
    """`A` with `A'A` the covariance: the centred pictures, or where there are more of them than features their triangle."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    return centred if len(centred) <= centred.shape[1] else torch.linalg.qr(centred, mode="r").R


def _factor(covariance: Float[Tensor, "features features"]) -> Float[Tensor, "features rank"]:
    """`F` with `F F' = covariance`: Cholesky's where there is one, else from the eigenvectors that are not null."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > torch.finfo(values.dtype).eps * len(values) * values.abs().max()
    factor = vectors[:, kept] * values[kept].sqrt()
    return factor


def _enough(n: int, least: int, what: str = _METRIC) -> None:
    if n < least:
        raise DaedalError(f"{what} needs {least:,} of both kinds at least, and there are {n:,}", "Take more")
