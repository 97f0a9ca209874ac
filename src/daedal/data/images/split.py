"""Which split each picture goes to: where its source says so there, else drawn by a hash of its pixels."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int8, UInt64

from daedal.data.images.duplicates import Duplicates
from daedal.data.images.options import ImageOptions
from daedal.data.options import SPLITS
from daedal.data.split import LEFT_OUT, draw, shares_of
from daedal.errors import DaedalError

Array = np.ndarray


@dataclass(frozen=True)
class Assignment:
    """Where pictures go.

    Attributes:
        splits: of each picture: 0 train, 1 validation, 2 test, -1 left out.
        method: `content`, `dealt`, or `given` where nothing was drawn.
    """

    splits: Int8[Array, " pictures"]
    method: str


def assign(
    copies: Duplicates,
    roles: Int8[Array, " pictures"],
    hashes: UInt64[Array, "pictures 2"],
    options: ImageOptions,
) -> Assignment:
    """Draw the pictures into splits.

    Args:
        copies: which pictures stay, and which must stay together.
        roles: 1 and 2 are validation and test already.
        hashes: of each picture's pixels.
        options: the shares and the seed.

    Raises:
        DaedalError: there are too few pictures.
    """
    keep, groups = copies.keep, copies.groups
    splits = np.where(keep, roles, LEFT_OUT).astype(np.int8)
    pool = np.flatnonzero(keep & (roles == 0))
    shares = shares_of(options, roles[keep])
    method = "given"
    if len(pool) and shares[0] < 1:
        members = np.unique(groups[pool], return_inverse=True)[1].astype(np.int64)
        sizes = np.ones(len(pool), dtype=np.int64)
        drawn, method, _ = draw(hashes[pool], members, sizes, shares, options.seed)
        _give_each(drawn, shares)
        splits[pool] = drawn[members]
    _check(splits, shares, copies)
    return Assignment(splits, method)


def _give_each(drawn: Int8[Array, " groups"], shares: tuple[float, float, float]) -> None:
    """Of a handful of pictures one validates, though that is more than its share; the test split may stay empty."""
    if shares[1] > 0 and not (drawn == 1).any() and (drawn == 0).sum() > 1:
        drawn[np.flatnonzero(drawn == 0)[-1]] = 1


def _check(splits: Int8[Array, " pictures"], shares: tuple[float, float, float], copies: Duplicates) -> None:
    counts = np.bincount(splits[splits >= 0], minlength=3)
    left_out = ", ".join(
        f"{number:,} {'is' if number == 1 else 'are'} {what}"
        for number, what in (
            (copies.exact, "exact copies" if copies.exact > 1 else "an exact copy"),
            (copies.near, "near copies" if copies.near > 1 else "a near copy"),
            (copies.held_out, "held out too"),
        )
        if number
    )
    if not counts[0]:
        raise DaedalError(
            f"No picture is left to train on: {counts[1]:,} are in validation, {counts[2]:,} in test"
            + (f"; of the others {left_out}" if left_out else ""),
            "Give more pictures, or draw the splits anew with --split 90 5 5",
        )
    if shares[1] > 0 and not counts[1]:
        if left_out:
            what = f"Of {len(splits):,} pictures {left_out}, which leaves {counts.sum():,}"
        elif counts.sum() == 1:
            what = "There is 1 picture"
        else:
            what = f"There are {counts.sum():,} pictures, all copies of one"
        raise DaedalError(
            f"{what}: too few for a train and a {SPLITS[1]} split",
            "Give more pictures, or train on all of them with --split 100 0 0",
        )
