"""Connected components: what is a copy of a copy belongs together."""

import numpy as np
from jaxtyping import Int64

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
