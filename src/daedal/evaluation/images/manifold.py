"""Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
arXiv:2002.09797).

Each picture stands for a ball that reaches to its k-th nearest neighbour of the same set.

- precision: the share of samples in any reference picture's ball; recall: of reference pictures in any sample's ball
- density: in how many reference balls a sample lies on average, over k; coverage: the share of reference balls with a
  sample in them
- precision and recall count the border as inside, as torch-fidelity does; density and coverage do not, as prdc does
- one pass over the pairs gives the numbers and those without each of the jackknife's groups
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.images.features import finite
from daedal.evaluation.images.intervals import groups_of, student_around
from daedal.evaluation.means import Interval

K, DENSITY_K = 3, 5
GROUPS = 10
METHOD = f"delete-a-group jackknife over both sets, {GROUPS} groups each, Student's t, 95 %"
_PAIRS = 2**22
_NEIGHBOURS = 48
"""So many are remembered: a k-th neighbour is among them also when a tenth of all pictures is left out."""


@dataclass(frozen=True)
class Manifold:
    """The four numbers, each with its interval."""

    precision: float
    recall: float
    density: float
    coverage: float
    intervals: tuple[Interval, Interval, Interval, Interval]


def manifold(
    samples: Float[Tensor, "n features"], reference: Float[Tensor, "m features"],
    k: int = K, density_k: int = DENSITY_K, seed: int = 0,
) -> Manifold:  # fmt: skip
    """All four.

    Args:
        density_k: the k of density and coverage.
        seed: of the jackknife's groups.

    Raises:
        DaedalError: there are not enough pictures to have such neighbours, or features are NaN or infinite.
    """
    n, m, least = len(samples), len(reference), 2 * max(k, density_k) + 2
    if min(n, m) < least:
        raise DaedalError(
            f"Precision and recall need {least} pictures of both kinds at least, and there are {min(n, m)}",
            "Take more pictures",
        )
    samples, reference = (finite(features, "Precision and recall") for features in (samples, reference))
    generator = np.random.default_rng(seed)
    kept = [_kept(count, generator) for count in (n, m)]
    whole = [torch.ones(GROUPS, count, dtype=torch.bool) for count in (n, m)]
    # First all pictures, then without each group of samples, then without each group of the reference
    mine = torch.cat([torch.ones(1, n, dtype=torch.bool), kept[0], whole[0]]).to(samples.device)
    theirs = torch.cat([torch.ones(1, m, dtype=torch.bool), whole[1], kept[1]]).to(samples.device)
    numbers = _numbers(samples, reference, mine, theirs, k, density_k).cpu().numpy()
    value, without = numbers[0], numbers[1:].reshape(2, GROUPS, 4)
    errors = np.sqrt((GROUPS - 1) * without.var(axis=1).sum(axis=0))
    most = (1.0, 1.0, float("inf"), 1.0)  # a density may be over one
    ends = [student_around(float(v), float(e), GROUPS - 1) for v, e in zip(value, errors, strict=True)]
    first, second, third, fourth = (
        (min(float(v), max(0.0, low)), max(float(v), min(top, high)))
        for v, (low, high), top in zip(value, ends, most, strict=True)
    )
    precision, recall, density, coverage = map(float, value)
    return Manifold(precision, recall, density, coverage, (first, second, third, fourth))


def _numbers(
    samples: Float[Tensor, "n features"], reference: Float[Tensor, "m features"],
    mine: Bool[Tensor, "choices n"], theirs: Bool[Tensor, "choices m"], k: int, density_k: int,
) -> Float[Tensor, "choices 4"]:  # fmt: skip
    """The four numbers of each choice of pictures."""
    reach, strict_reach = _reaches(reference, theirs, (k, density_k))
    (own_reach,) = _reaches(samples, mine, (k,))
    choices = len(theirs)
    precise, dense = reach.new_zeros(choices), reach.new_zeros(choices)
    recalled = torch.zeros_like(theirs)
    nearest = torch.full_like(reach, torch.inf)
    for start, distances in _chunks(samples, reference):
        part = slice(start, start + len(distances))
        for choice in range(choices):
            rows = mine[choice, part]
            some = distances if bool(rows.all()) else distances[rows]
            precise[choice] += (some <= reach[choice]).any(1).sum()
            dense[choice] += (some < strict_reach[choice]).sum()
            recalled[choice] |= (some <= own_reach[choice, part][rows, None]).any(0)
            if len(some):
                nearest[choice] = torch.minimum(nearest[choice], some.amin(0))
    covered, n, own = (nearest < strict_reach) & theirs, mine.sum(1).double(), theirs.sum(1).double()
    return torch.stack(
        [precise / n, (recalled & theirs).sum(1) / own, dense / (density_k * n), covered.sum(1) / own], dim=1
    )


def _kept(n: int, generator: np.random.Generator) -> Bool[Tensor, "groups n"]:
    kept = torch.ones(GROUPS, n, dtype=torch.bool)
    for group, part in enumerate(groups_of(n, GROUPS, generator)):
        kept[group, part] = False
    return kept


def _reaches(
    features: Float[Tensor, "n features"], kept: Bool[Tensor, "choices n"], ks: tuple[int, ...]
) -> list[Float[Tensor, "choices n"]]:
    """How far it is from each to its k-th nearest neighbour that is kept, itself not counted; -1 from those that are
    not."""
    count = min(_NEIGHBOURS, len(features))
    found = [distances.topk(count, dim=1, largest=False) for _, distances in _chunks(features, features)]
    near, places = torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])
    reaches = [near.new_empty(kept.shape) for _ in ks]
    for choice, chosen in enumerate(kept):
        rank = chosen[places].long().cumsum(1)
        for reach, k in zip(reaches, ks, strict=True):
            place = (rank <= k).sum(1).clamp_max(count - 1)  # the first of rank k + 1: the nearest is itself
            reach[choice] = torch.where(chosen, near.gather(1, place[:, None])[:, 0], -1.0)
    return reaches


def _chunks(
    one: Float[Tensor, "n features"], other: Float[Tensor, "m features"]
) -> Iterator[tuple[int, Float[Tensor, "rows m"]]]:
    """The distances of all pairs, some rows at a time, with the number of the first.

    By differences, not by products: those cancel, and would put copies 1e-8 apart and one pair at two distances, by which
    copies that lie on a border fall to either side.
    """
    rows = max(1, _PAIRS // len(other))
    for start in range(0, len(one), rows):
        yield start, torch.cdist(one[start : start + rows], other, compute_mode="donot_use_mm_for_euclid_dist")
