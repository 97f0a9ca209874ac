"""Copies: which examples are the same or nearly so, which of them stays, and which must stay together in one split.

How near copies are looked for is said by `duplicates` for words and by `images.duplicates` for pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int8, Int64, UInt64

Array = np.ndarray
_TOLD = 5


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes:
        keep: which examples stay.
        groups: a number for each example, equal for those that must stay together in one split.
        exact: examples left out because the same is kept.
        near: examples left out because a near copy is kept.
        held_out: train examples left out because they, or near copies, occur in a validation or test source.
        clusters: groups of near copies.
        largest: examples in the largest of them.
        pairs: a few near copies: left out, kept, and how alike they are, or how far apart.
    """

    keep: Bool[Array, " examples"]
    groups: Int64[Array, " examples"]
    exact: int
    near: int
    held_out: int
    clusters: int
    largest: int
    pairs: tuple[tuple[int, int, float], ...] = ()


def settle(
    hashes: UInt64[Array, "examples 2"],
    roles: Int8[Array, " examples"],
    worth: Sequence[Int64[Array, " examples"]],
    exact: bool,
    near: str,
    edges_of: Callable[[Int64[Array, " examples"], Int64[Array, " distinct"]], Int64[Array, "edges 2"]],
) -> Duplicates:
    """Decide which examples stay.

    Args:
        hashes: equal for equal examples.
        roles: 0 for those to be drawn into splits, 1 validation, 2 test: what is in a later one stays out of the earlier.
        worth: of copies that of which the last of these is most stays; where it is equal, the one before decides.
        exact: leave out all but one of equal examples.
        near: `drop` all but one of near copies, `keep` them in one split, or `off`.
        edges_of: near copies among the distinct; it is given the rank of each example's hash, and the first example of each.
    """
    order = np.lexsort((*(-each for each in worth), -roles, hashes[:, 1], hashes[:, 0]))
    identity, first_of = identities(hashes, order)
    role_of = roles[first_of]
    keep = roles >= role_of[identity]
    held = int((~keep).sum())
    copies = keep & (roles == 0) & (first_of[identity] != np.arange(len(keep))) & exact
    keep &= ~copies  # a validation or test source stays as it is
    edges = edges_of(identity, first_of) if near != "off" else np.zeros((0, 2), dtype=np.int64)
    cluster = components(len(first_of), edges)
    members = cluster[identity]
    strongest = np.zeros(len(first_of), dtype=np.int8)
    np.maximum.at(strongest, cluster, role_of)
    beaten = keep & (roles < strongest[members])
    held += int(beaten.sum())
    keep &= ~beaten
    ranked = np.lexsort((np.arange(len(cluster)), *(-each[first_of] for each in worth), cluster))
    chosen = _representatives(cluster, ranked)[members]
    left = keep & (roles == 0) & (chosen != identity) & (near == "drop")
    sizes = np.bincount(cluster, minlength=len(first_of))
    return Duplicates(
        keep=keep & ~left,
        groups=members,
        exact=int(copies.sum()),
        near=int(left.sum()),
        held_out=held,
        clusters=int((sizes > 1).sum()),
        largest=int(sizes.max(initial=0)) if (sizes > 1).any() else 0,
        pairs=tuple((each, int(first_of[chosen[each]]), 0.0) for each in np.flatnonzero(left)[:_TOLD].tolist()),
    )


def among(found: Duplicates, chosen: Bool[Array, " examples"]) -> Duplicates:
    """What was found of the examples that are chosen, told of all: the others do not stay, and are in no group."""
    numbers = np.flatnonzero(chosen)
    keep = np.zeros(len(chosen), dtype=bool)
    keep[numbers] = found.keep
    groups = np.arange(len(chosen)) + int(found.groups.max(initial=-1)) + 1
    groups[numbers] = found.groups
    pairs = tuple((int(numbers[left]), int(numbers[right]), alike) for left, right, alike in found.pairs)
    return replace(found, keep=keep, groups=groups, pairs=pairs)


def together(found: Duplicates, edges: Int64[Array, "edges 2"]) -> Duplicates:
    """The same, with pairs of examples that must stay together for another reason."""
    groups = found.groups
    pairs = groups[edges]
    joined = components(int(groups.max(initial=-1)) + 1, pairs[pairs[:, 0] != pairs[:, 1]])
    return replace(found, groups=joined[groups])


def components(count: int, edges: Int64[Array, "edges 2"]) -> Int64[Array, " count"]:
    """The smallest member of each node's connected component."""
    label = np.arange(count)
    while len(edges):
        left, right = label[edges[:, 0]], label[edges[:, 1]]
        edges = edges[left != right]
        if not len(edges):
            break
        left, right = left[left != right], right[left != right]
        np.minimum.at(label, np.maximum(left, right), np.minimum(left, right))
        while not np.array_equal(label, label[label]):
            label = label[label]
    return label


def identities(
    hashes: UInt64[Array, "count 2"], order: Int64[Array, " count"]
) -> tuple[Int64[Array, " count"], Int64[Array, " distinct"]]:
    """Of each thing the rank of its hash among all hashes, and of each hash the first thing that has it.

    Args:
        hashes: of each thing, as two words.
        order: all things sorted by hash, and those of one hash by which comes first.
    """
    ordered = hashes[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    identity = np.empty(len(order), dtype=np.int64)
    identity[order] = np.cumsum(new) - 1
    return identity, order[new]


def _representatives(cluster: Int64[Array, " count"], order: Int64[Array, " count"]) -> Int64[Array, " count"]:
    """Of each cluster, under its smallest member, the one that comes first in `order`, which keeps clusters together."""
    heads = np.ones(len(cluster), dtype=bool)
    heads[1:] = cluster[order][1:] != cluster[order][:-1]
    chosen = np.arange(len(cluster))
    chosen[cluster[order[heads]]] = order[heads]
    return chosen
