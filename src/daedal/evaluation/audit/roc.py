"""How well a score tells members from others: the area under the curve of true over false positives, and the true positives
at a rate of false ones (Carlini et al. 2022, arXiv:2112.03570: an attack that is right about few, but surely, is told by it).

Passages of a document are alike. So intervals are by the bootstrap over documents, members' and others' apart, expanded for how
few these are (Hesterberg 2015, doi:10.1080/00031305.2015.1089789, section 5.3); and that chance alone does as well is told by
drawing anew which documents were learned, which is exact however few they are.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.intervals import LEVEL, student_t
from daedal.evaluation.means import wilson

Array = np.ndarray
Interval = tuple[float, float]
REPLICATES = 1000
DRAWS = 2000
METHOD = (
    f"expanded percentile bootstrap of {REPLICATES:,} replicates over documents, 95 %; Wilson's where all of them agree"
)
_ROWS = 200


@dataclass(frozen=True)
class Separation:
    """
    Attributes:
        auc: the chance that a member scores higher than another, ties counted half.
        found: the share of members that score higher than all but a rate of the others.
        chance: how often the area is as large where it is drawn anew which documents are the members.
    """

    auc: float
    auc_interval: Interval | None
    found: float
    found_interval: Interval | None
    chance: float


def separation(
    members: Float[Array, " members"],
    others: Float[Array, " others"],
    member_documents: Int[Array, " members"],
    other_documents: Int[Array, " others"],
    rate: float,
    seed: int = 0,
) -> Separation:
    """
    Args:
        member_documents: of each member the document.
        rate: of false positives, at most.
    """
    groups = [np.unique(each, return_inverse=True)[1] for each in (member_documents, other_documents)]
    counts = [int(each.max()) + 1 for each in groups]
    wins = _wins(members, others, *groups)
    sizes = [np.bincount(each) for each in groups]
    curve = _Curve(members, others)
    found = float(curve.found(np.ones((1, len(members))), np.ones((1, len(others))), rate)[0])
    value = float(wins.sum() / (len(members) * len(others)))
    if min(counts) < 2:
        return Separation(value, None, found, None, 1.0)
    generator = np.random.Generator(np.random.Philox(seed))
    areas, rates = [], []
    for first in range(0, REPLICATES, _ROWS):
        rows = min(_ROWS, REPLICATES - first)
        one, other = (
            generator.multinomial(count, np.full(count, 1 / count), size=rows).astype(np.float64) for count in counts
        )
        areas.append(((one @ wins) * other).sum(1) / ((one @ sizes[0]) * (other @ sizes[1])))
        rates.append(curve.found(one[:, groups[0]], other[:, groups[1]], rate))
    ends = _ends(np.concatenate(rates), min(counts))
    if ends[0] == ends[1]:  # none or all are found in every replicate, which says nothing of others
        ends = wilson(round(found * counts[0]), counts[0]) or ends
    chance = _chance(members, others, groups[0], groups[1], generator)
    return Separation(value, _ends(np.concatenate(areas), min(counts)), found, ends, chance)


def _ends(values: Float[Array, " replicates"], documents: int) -> Interval:
    """The percentiles at which a bootstrap over so many documents is as wide as Student's interval would be."""
    from scipy.special import ndtr

    far = math.sqrt(documents / (documents - 1)) * student_t((1 + LEVEL) / 2, documents - 1)
    low, high = np.quantile(values, [float(ndtr(-far)), float(ndtr(far))])
    return float(low), float(high)


def _chance(
    members: Float[Array, " members"],
    others: Float[Array, " others"],
    member_group: Int[Array, " members"],
    other_group: Int[Array, " others"],
    generator: np.random.Generator,
) -> float:
    """By the sums of ranks of documents: of those that are members they give the area."""
    from scipy.stats import rankdata

    known = int(member_group.max()) + 1
    group = np.concatenate([member_group, other_group + known])
    sizes = np.bincount(group).astype(np.float64)
    ranks = np.bincount(group, weights=rankdata(np.concatenate([members, others])))

    def areas(chosen: Float[Array, "replicates documents"]) -> Float[Array, " replicates"]:
        n, total = chosen @ sizes, float(sizes.sum())
        found: Float[Array, " replicates"] = (chosen @ ranks - n * (n + 1) / 2) / (n * (total - n))
        return found

    own = (np.arange(len(sizes)) < known)[None].astype(np.float64)
    beside = areas(generator.permuted(np.repeat(own, DRAWS, axis=0), axis=1))
    return float(1 + (beside >= areas(own)[0] - 1e-12).sum()) / (DRAWS + 1)


def _wins(
    members: Float[Array, " members"],
    others: Float[Array, " others"],
    member_group: Int[Array, " members"],
    other_group: Int[Array, " others"],
) -> Float[Array, "member_groups other_groups"]:
    """Of each two documents how many pairs of their passages the member wins, ties counted half."""
    found = np.zeros((int(member_group.max()) + 1, int(other_group.max()) + 1))
    for place, group in enumerate(other_group):
        wins = (members > others[place]) + 0.5 * (members == others[place])
        found[:, group] += np.bincount(member_group, weights=wins, minlength=len(found))
    return found


class _Curve:
    """Both kinds of scores in order, so that weights alone change from one replicate to the next."""

    def __init__(self, members: Float[Array, " members"], others: Float[Array, " others"]) -> None:
        self.members, self.others = np.argsort(-members), np.argsort(-others)
        limits = others[self.others]
        # Of each other, how many members and how many others score higher than it
        self.above = np.searchsorted(-members[self.members], -limits, side="left")
        self.before = np.searchsorted(-limits, -limits, side="left")

    def found(
        self, member_weights: Float[Array, "replicates members"], other_weights: Float[Array, "replicates others"], rate: float
    ) -> Float[Array, " replicates"]:  # fmt: skip
        """The weight of members above the lowest limit that at most a rate of the others is above."""
        others, members = (
            np.concatenate([np.zeros((len(each), 1)), np.cumsum(each[:, order], axis=1)], axis=1)
            for each, order in ((other_weights, self.others), (member_weights, self.members))
        )
        false = others[:, self.before]
        last = (false <= rate * others[:, -1:]).sum(1) - 1  # never less than 0: above the first is none
        shares: Float[Array, " replicates"] = members[np.arange(len(members)), self.above[last]] / members[:, -1]
        return shares
