"""Copies: which things have the same hash, which are copies of copies, and which of a group stays."""

import numpy as np
from jaxtyping import Int64, UInt64

Array = np.ndarray


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


def representatives(cluster: Int64[Array, " count"], order: Int64[Array, " count"]) -> Int64[Array, " count"]:
    """Of each cluster, under its smallest member, the one that comes first in `order`, which keeps clusters together."""
    heads = np.ones(len(cluster), dtype=bool)
    heads[1:] = cluster[order][1:] != cluster[order][:-1]
    chosen = np.arange(len(cluster))
    chosen[cluster[order[heads]]] = order[heads]
    return chosen
