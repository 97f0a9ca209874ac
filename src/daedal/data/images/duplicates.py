"""Pictures that are there more than once: the same pixels, or nearly the same ones.

Two pictures are near copies if their pixels differ by no more than compressing or rescaling a picture again makes them:
little in all (root mean square), and nowhere much (in no small cell). The second is what tells a digit from another, and the
same emoji of two skin colours apart. Candidates are found by their outlines (`hashing`), nearest first.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int8, Int64, UInt8

from daedal.data.copies import Duplicates, settle
from daedal.data.images.picture_array import Gallery

Array = np.ndarray
NEAR = 6.0
"""Root mean square difference of near copies, of 255."""
NEAR_CELL = 12.0
"""Difference of the mean colours of a cell, a sixteenth of a side wide, in the cell where it is largest."""
_CELLS = 16
_NEIGHBOURS = 12
_BLOCK = 4096
_VALUES = 2**22  # of pixels compared at once


def find(
    gallery: Gallery,
    roles: Int8[Array, " pictures"],
    known: Int64[Array, " pictures"],
    exact: bool,
    near: str,
    progress: Callable[[int], None],
) -> Duplicates:
    """Find duplicates.

    Args:
        gallery: the pictures.
        roles: 0 for those to be drawn into splits, 1 validation, 2 test.
        known: how much is known of each; of copies that of which most is known stays, then that of the largest original.
        exact: leave out all but one of equal pictures.
        near: `drop` all but one of near copies, `keep` them in one split, or `off`.
        progress: called with how many pictures were compared.
    """
    pairs: tuple[tuple[int, int, float], ...] = ()

    def edges_of(identity: Array, first_of: Array) -> Array:
        nonlocal pairs
        edges, distances = near_pairs(gallery, first_of, progress)
        some = np.argsort(-distances, kind="stable")[:5]  # those that are least alike, for a person to judge
        pairs = tuple((*first_of[edges[each]].tolist(), float(distances[each])) for each in some.tolist())
        return edges

    area = gallery.sizes.prod(axis=1)
    found = settle(gallery.hashes, roles, (area, known), exact, near, edges_of)
    return replace(found, pairs=pairs)


def near_pairs(
    gallery: Gallery, places: Int64[Array, " some"], progress: Callable[[int], None]
) -> tuple[Int64[Array, "pairs 2"], Float64[Array, " pairs"]]:
    """Pairs of near copies among the pictures at `places`, as numbers in `places`, and their differences."""
    from scipy.spatial import cKDTree

    outlines = gallery.outlines[places].astype(np.float64)
    tree = cKDTree(outlines)
    found, distances = [], []
    at_once = max(1, _VALUES // int(np.prod(gallery.pixels.shape[1:])))
    for begin in range(0, len(places), _BLOCK):
        progress(begin)
        block = outlines[begin : begin + _BLOCK]
        _, others = tree.query(block, k=min(_NEIGHBOURS, len(places)), distance_upper_bound=NEAR + 1e-6)
        others = others.reshape(len(block), -1)
        mine = np.broadcast_to(np.arange(begin, begin + len(block))[:, None], others.shape)
        candidate = (others < len(places)) & (others != mine)
        pairs = np.unique(np.sort(np.stack([mine[candidate], others[candidate]], axis=1), axis=1), axis=0)
        for first in range(0, len(pairs), at_once):
            some = pairs[first : first + at_once]
            overall, worst = differences(gallery.pixels[places[some[:, 0]]], gallery.pixels[places[some[:, 1]]])
            near = (overall <= NEAR) & (worst <= NEAR_CELL)
            found.append(some[near])
            distances.append(overall[near])
    pairs = np.concatenate([*found, np.zeros((0, 2), dtype=np.int64)])
    pairs, first_seen = np.unique(pairs, axis=0, return_index=True)
    return pairs, np.concatenate([*distances, np.zeros(0)])[first_seen]


def differences(
    left: UInt8[Array, "pairs height width channels"], right: UInt8[Array, "pairs height width channels"]
) -> tuple[Float64[Array, " pairs"], Float64[Array, " pairs"]]:
    """How far pictures are apart: the root mean square of their pixels, and the mean of the cell where it is largest; where the
    first is too much for near copies, the second is infinite."""
    difference = left.astype(np.float64) - right.astype(np.float64)
    overall = np.sqrt((difference**2).mean(axis=(1, 2, 3)))
    worst = np.full(len(overall), np.inf)
    near = overall <= NEAR  # the others need no second look
    worst[near] = np.abs(_cells(difference[near])).max(axis=(1, 2, 3), initial=0)
    return overall, worst


def _cells(values: Float64[Array, "pairs height width channels"]) -> Float64[Array, "pairs rows columns channels"]:
    """The means of cells, a sixteenth of a side wide, but at least a pixel."""
    for axis in (1, 2):
        size = values.shape[axis]
        starts = np.unique(np.arange(_CELLS) * size // _CELLS)
        widths = np.diff(np.append(starts, size))
        shape = [1, 1, 1, 1]
        shape[axis] = len(starts)
        values = np.add.reduceat(values, starts, axis=axis) / widths.reshape(shape)
    return values
