"""Pictures that are there more than once: the same pixels, or nearly the same ones.

Two pictures are near copies if their pixels differ by no more than compressing or rescaling a picture again makes them:
little in all (root mean square), and nowhere much (in no small cell). The second is what tells a digit from another, and the
same emoji of two skin colours apart. Candidates are found by their outlines (`hashing`), nearest first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64, UInt8

from daedal.data.copies import components, identities, representatives
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


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes:
        keep: which pictures stay.
        groups: a number for each picture, equal for those that must stay together in one split.
        exact: pictures left out because the same pixels are kept.
        near: pictures left out because a near copy is kept.
        held_out: train pictures left out because they, or near copies, are in a validation or test source.
        clusters: groups of near copies.
        largest: pictures in the largest of them.
        pairs: examples of near copies: left out, kept, and how far apart.
    """

    keep: Bool[Array, " pictures"]
    groups: Int64[Array, " pictures"]
    exact: int
    near: int
    held_out: int
    clusters: int
    largest: int
    pairs: tuple[tuple[int, int, float], ...]


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
        known: how much is known of each; of copies that of which most is known stays.
        exact: leave out all but one of equal pictures.
        near: `drop` all but one of near copies, `keep` them in one split, or `off`.
        progress: called with how many pictures were compared.
    """
    area = gallery.sizes.prod(axis=1)
    order = np.lexsort((-area, -known, -roles, gallery.hashes[:, 1], gallery.hashes[:, 0]))
    identity, first_of = identities(gallery.hashes, order)

    role_of = roles[first_of]
    keep = roles >= role_of[identity]
    held = int((~keep).sum())
    removed = 0
    if exact:
        extra = keep & (roles == 0) & (first_of[identity] != np.arange(len(order)))
        removed = int(extra.sum())
        keep &= ~extra

    edges, distances = (
        near_pairs(gallery, first_of, progress) if near != "off" else (np.zeros((0, 2), dtype=np.int64), None)
    )
    cluster = components(len(first_of), edges)
    members = cluster[identity]
    strongest = np.zeros(len(first_of), dtype=np.int8)
    np.maximum.at(strongest, cluster, role_of)
    beaten = keep & (roles < strongest[members])
    held += int(beaten.sum())
    keep &= ~beaten
    chosen = _representatives(cluster, first_of, area, known)
    left = keep & (roles == 0) & (chosen[members] != identity) if near == "drop" else np.zeros(len(keep), dtype=bool)
    keep &= ~left
    sizes = np.bincount(cluster, minlength=len(first_of))
    return Duplicates(
        keep=keep,
        groups=members,
        exact=removed,
        near=int(left.sum()),
        held_out=held,
        clusters=int((sizes > 1).sum()),
        largest=int(sizes.max()) if (sizes > 1).any() else 0,
        pairs=_examples(edges, distances, first_of),
    )


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


def _representatives(cluster: Array, first_of: Array, area: Array, known: Array) -> Int64[Array, " distinct"]:
    """Of each cluster the picture that stays: the one of which most is known, then the largest original, then the
    smallest hash."""
    keys = (np.arange(len(cluster)), -area[first_of], -known[first_of], cluster)
    return representatives(cluster, np.lexsort(keys))


def _examples(edges: Array, distances: Array | None, first_of: Array) -> tuple[tuple[int, int, float], ...]:
    if distances is None or not len(edges):
        return ()
    some = np.argsort(-distances, kind="stable")[:5]  # those that are least alike, for a person to judge
    return tuple(
        (int(first_of[edges[place, 0]]), int(first_of[edges[place, 1]]), float(distances[place]))
        for place in some.tolist()
    )
