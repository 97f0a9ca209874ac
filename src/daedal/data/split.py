"""Which split each document goes to.

By content: a document's place in [0, 1) is a hash of its text (for near copies: of their group) and the seed, so it
stays where it is when files are renamed, reordered or added. Few documents, or a few giants, would make lopsided splits
so; they are dealt out whole to meet the shares, and where not even that goes, all text is cut in its order, at exactly
the shares, as one long text is.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int8, Int64, UInt64

from daedal.data.options import DEFAULT_SHARES, SPLITS, CommonOptions
from daedal.data.windows import mix
from daedal.errors import DaedalError

Array = np.ndarray
_LARGEST_SHARE = 0.2  # of all text, for a validation or test split that asked for less
_FEWEST_CHARACTERS = 16
LEFT_OUT = -1
_VALIDATION = 5.0


@dataclass(frozen=True)
class Assignment:
    """Where documents go.

    Attributes:
        splits: of each document: 0 train, 1 validation, 2 test, -1 left out.
        cuts: documents that are cut: pieces of (split, first character, character after the last).
        method: `content`, `dealt`, `order`, or `given` where nothing was drawn.
    """

    splits: Int8[Array, " documents"]
    cuts: dict[int, tuple[tuple[int, int, int], ...]]
    method: str


def assign(
    keep: Bool[Array, " documents"],
    roles: Int8[Array, " documents"],
    groups: Int64[Array, " documents"],
    hashes: UInt64[Array, "documents 2"],
    characters: Int64[Array, " documents"],
    shares: tuple[float, float, float],
    method: str,
    seed: int,
) -> Assignment:
    """Draw the documents into splits.

    Args:
        keep: which documents stay.
        roles: 1 and 2 are validation and test already.
        groups: equal for documents that must stay together.
        hashes: of each document's text.
        characters: of each document.
        shares: fractions of train, validation and test among documents of role 0.
        method: `auto`, `content` or `order`.
        seed: of the hash.

    Raises:
        DaedalError: a split that was asked for would have no text.
    """
    splits = np.where(keep, roles, LEFT_OUT).astype(np.int8)
    pool = np.flatnonzero(keep & (roles == 0))
    cuts: dict[int, tuple[tuple[int, int, int], ...]] = {}
    used = "given"
    if shares[0] < 1:
        members = np.unique(groups[pool], return_inverse=True)[1]
        drawn = None
        if method != "order" and members.max(initial=-1) > 0:
            drawn, used, well = draw(hashes[pool], members, characters[pool], shares, seed)
            if method == "auto" and not well:
                drawn = None
        if drawn is not None:
            splits[pool] = drawn[members]
        else:
            used = "order"
            _cut(splits, cuts, pool, characters[pool], shares)
    _check(splits, cuts, characters, shares)
    return Assignment(splits, cuts, used)


def shares_of(options: CommonOptions, roles: Int8[Array, " examples"]) -> tuple[float, float, float]:
    """Fractions of train, validation and test that are drawn from the examples of role 0, where sources may have splits.

    Where there is a test split already, validation alone is drawn, and where there is a validation split, nothing is.
    """
    validation, test = bool((roles == 1).any()), bool((roles == 2).any())
    given = options.split
    if given is None:
        given = (100.0 - _VALIDATION, _VALIDATION, 0.0) if test else DEFAULT_SHARES
    if options.split is None and validation:
        given = (100.0, 0.0, 0.0)
    kept = (given[0], 0.0 if validation else given[1], 0.0 if test else given[2])
    return kept[0] / sum(kept), kept[1] / sum(kept), kept[2] / sum(kept)


def draw(
    hashes: UInt64[Array, "documents 2"],
    members: Int64[Array, " documents"],
    sizes: Int64[Array, " documents"],
    shares: tuple[float, float, float],
    seed: int,
) -> tuple[Int8[Array, " groups"], str, bool]:
    """Draw groups of documents into splits by content; where that is lopsided, deal them out.

    Args:
        hashes: of each document.
        members: the group of each, from 0 on.
        sizes: of each document.
        shares: fractions of train, validation and test.
        seed: of the hash.

    Returns:
        The split of each group, `content` or `dealt`, and whether the shares are met well enough.
    """
    count = int(members.max(initial=-1)) + 1
    places = _places(hashes, members, count, seed)
    of_groups = np.bincount(members, weights=sizes, minlength=count)
    drawn = np.searchsorted(np.cumsum(shares)[:2], places, side="right").astype(np.int8)
    if _acceptable(drawn, of_groups, shares):
        return drawn, "content", True
    drawn = _deal(places, of_groups, shares)
    return drawn, "dealt", _acceptable(drawn, of_groups, shares)


def _places(hashes: Array, members: Array, count: int, seed: int) -> Array:
    """The place of each group in [0, 1): its smallest hash, keyed with the seed."""
    smallest = np.full(count, 2**64 - 1, dtype=np.uint64)
    np.minimum.at(smallest, members, hashes[:, 0])
    keyed = mix(smallest ^ mix(np.full(count, seed + 1, dtype=np.uint64)))
    return (keyed >> np.uint64(11)).astype(np.float64) / 2.0**53


def _acceptable(drawn: Array, sizes: Array, shares: tuple[float, float, float]) -> bool:
    got = np.bincount(drawn, weights=sizes, minlength=3) / max(1.0, sizes.sum())
    return all(
        share == 0 or share / 4 <= part <= max(_LARGEST_SHARE, 1.5 * share)
        for part, share in zip(got[1:], shares[1:], strict=True)
    )


def _deal(places: Array, sizes: Array, shares: tuple[float, float, float]) -> Array:
    """Whole documents to test, then validation, then train, in the order of their places, as near to the shares as it goes."""
    drawn = np.zeros(len(places), dtype=np.int8)
    total = sizes.sum()
    free = np.argsort(places, kind="stable")[::-1].tolist()
    for split in (2, 1):
        target, taken = shares[split] * total, 0.0
        limit = max(_LARGEST_SHARE * total, target)
        rest = []
        for group in free:
            size = sizes[group]
            if taken + size / 2 <= target or (taken < target / 4 and taken + size <= limit):
                drawn[group] = split
                taken += size
            else:
                rest.append(group)
        free = rest
    return drawn


def _cut(
    splits: Array,
    cuts: dict[int, tuple[tuple[int, int, int], ...]],
    pool: Array,
    sizes: Array,
    shares: tuple[float, float, float],
) -> None:
    """Cut all text in its order: the borders are the whole characters below the cumulated shares, as nanoGPT cuts."""
    total = int(sizes.sum())
    # Rounded first, because 0.9 + 0.05 is a little less than 0.95.
    borders = [int(round(total * share, 6)) for share in np.cumsum(shares)[:2]]
    ends = np.cumsum(sizes)
    begins = ends - sizes
    splits[pool] = np.searchsorted(borders, begins, side="right")
    for border in borders:
        inside = np.flatnonzero((begins < border) & (border < ends))
        for place in inside.tolist():
            begin, end = int(begins[place]), int(ends[place])
            marks = [begin, *sorted({each for each in borders if begin < each < end}), end]
            cuts[int(pool[place])] = tuple(
                (int(np.searchsorted(borders, low, side="right")), low - begin, high - begin)
                for low, high in pairwise(marks)
            )


def _check(
    splits: Array, cuts: dict[int, tuple[tuple[int, int, int], ...]], characters: Array, shares: tuple[float, ...]
) -> None:
    whole = splits >= 0
    for document in cuts:
        whole[document] = False
    got = np.bincount(splits[whole], weights=characters[whole], minlength=3)
    for pieces in cuts.values():
        for split, low, high in pieces:
            got[split] += high - low
    if got[0] == 0:
        raise DaedalError("No text is left to train on", "Give more text, or loosen the filters")
    for split in (1, 2):
        if shares[split] > 0 and got[split] < _FEWEST_CHARACTERS:
            raise DaedalError(
                f"The corpus is too short for a {SPLITS[split]} split: {int(got[split])} of {int(got.sum())} characters would"
                " be in it",
                "Give more text, a larger share with --split, or a file with --validation",
            )
