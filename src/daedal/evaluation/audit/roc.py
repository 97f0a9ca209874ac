"""How well a score tells members from others: the area under the curve of true over false positives, and the true positives
at a rate of false ones (Carlini et al. 2022, arXiv:2112.03570: an attack that is right about few, but surely, is told by it).

Intervals by the bootstrap over documents, members' and others' apart: passages of a document are alike.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.intervals import LEVEL
from daedal.evaluation.means import wilson

Array = np.ndarray
Interval = tuple[float, float]
REPLICATES = 1000
METHOD = f"percentile bootstrap of {REPLICATES:,} replicates over documents, 95 %; Wilson's where all of them agree"
_ROWS = 200


@dataclass(frozen=True)
class Separation:
    """
    Attributes:
        auc: the chance that a member scores higher than another, ties counted half.
        found: the share of members that score higher than all but a rate of the others.
        chance: how often members score no higher than others when documents are drawn again; 1 where there is no interval.
    """

    auc: float
    auc_interval: Interval | None
    found: float
    found_interval: Interval | None
    chance: float = 1.0


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
        return Separation(value, None, found, None)
    generator = np.random.Generator(np.random.Philox(seed))
    areas, rates = [], []
    for first in range(0, REPLICATES, _ROWS):
        rows = min(_ROWS, REPLICATES - first)
        one, other = (
            generator.multinomial(count, np.full(count, 1 / count), size=rows).astype(np.float64) for count in counts
        )
        areas.append(((one @ wins) * other).sum(1) / ((one @ sizes[0]) * (other @ sizes[1])))
        rates.append(curve.found(one[:, groups[0]], other[:, groups[1]], rate))
    drawn = np.concatenate(areas)
    ends = _percentiles(np.concatenate(rates))
    if ends[0] == ends[1]:  # none or all are found in every replicate, which says nothing of others
        ends = wilson(round(found * counts[0]), counts[0]) or ends
    return Separation(value, _percentiles(drawn), found, ends, float((drawn <= 0.5).mean()))


def _percentiles(values: Float[Array, " replicates"]) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


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
