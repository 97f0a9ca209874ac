"""Which split each example goes to: where its source says so there, else as its kind draws. Next stage: codecs are learned.

By content: a document's place in [0, 1) is a hash of its text (for near copies: of their group) and the seed, so it
stays where it is when files are renamed, reordered or added. Few documents, or a few giants, would make lopsided splits
so; they are dealt out whole to meet the shares, and where not even that goes, all text is cut in its order, at exactly
the shares, as one long text is.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Int8, Int64, UInt64

from daedal.data.copies import Duplicates
from daedal.data.kind import InOrder, InTime, Kind, Stratified
from daedal.data.options import DEFAULT_SHARES, SPLITS, CommonOptions, TextOptions
from daedal.data.sources import is_pattern, names_it
from daedal.data.windows import mix
from daedal.errors import DaedalError

Array = np.ndarray
_LARGEST_SHARE = 0.2  # of all text, for a validation or test split that asked for less
_FEWEST_CHARACTERS = 16
LEFT_OUT = -1
Cuts = dict[int, tuple[tuple[int, int, int], ...]]
"""Of each document that is cut its pieces: the split, the first character, and the character after the last."""
_VALIDATION = 5.0


def patterns_of(options: CommonOptions) -> tuple[tuple[int, str], ...]:
    """The patterns of names that `--test` (2) and `--validation` (1) give in place of sources."""
    given = [(2, each) for each in options.test] + [(1, each) for each in options.validation]
    return tuple((role, each) for role, each in given if is_pattern(each))


def role_of(label: str, patterns: tuple[tuple[int, str], ...]) -> int:
    """The split that a file is of by its name; 0 where no pattern names it."""
    return next((role for role, each in patterns if names_it(each, label)), 0)


@dataclass(frozen=True)
class Assignment:
    """Where examples go.

    Attributes:
        splits: of each: 0 train, 1 validation, 2 test, -1 left out.
        cuts: documents that are cut.
        method: `content`, `dealt`, `order`, `class`, `time`, or `given` where nothing was drawn.
    """

    splits: Int8[Array, " examples"]
    cuts: Cuts
    method: str


def assign(
    kind: Kind,
    copies: Duplicates,
    roles: Int8[Array, " examples"],
    hashes: UInt64[Array, "examples 2"],
    options: CommonOptions,
    sizes: Int64[Array, " examples"] | None = None,
    values: Array | None = None,
) -> Assignment:
    """Draw examples into splits, as their kind says.

    Args:
        copies: which examples stay, and which must stay together.
        roles: 1 and 2 are validation and test already.
        hashes: of each example.
        options: the shares, and the seed of the hash.
        sizes: characters of each document, where text is drawn.
        values: the class of each example as a number, or when it is from, where the kind splits by that.

    Raises:
        DaedalError: a split that was asked for would have too little.
    """
    by = kind.split
    splits = np.where(copies.keep, roles, LEFT_OUT).astype(np.int8)
    pool = np.flatnonzero(copies.keep & (roles == 0))
    shares = shares_of(options, roles[copies.keep])
    cuts: Cuts = {}
    method = "given"
    if len(pool) and shares[0] < 1:
        groups, firsts, members = np.unique(copies.groups[pool], return_index=True, return_inverse=True)
        drawn: Array | None
        if isinstance(by, InTime) and values is not None:
            latest = np.full(len(groups), -np.inf)
            np.maximum.at(latest, members, values[pool])
            drawn, method = _by_rank(np.argsort(latest, kind="stable"), shares), "time"
        elif isinstance(by, Stratified) and values is not None:
            keyed = mix(hashes[pool[firsts], 0] ^ mix(np.full(len(groups), options.seed + 1, dtype=np.uint64)))
            drawn, method = _stratified(values[pool[firsts]], keyed, shares), "class"
        else:
            weights = np.ones(len(pool), dtype=np.int64) if sizes is None else sizes[pool]
            drawn, method, well = draw(hashes[pool], members.astype(np.int64), weights, shares, options.seed)
            if isinstance(by, InOrder) and sizes is not None:
                assert isinstance(options, TextOptions)
                if options.split_by == "order" or len(groups) == 1 or (options.split_by == "auto" and not well):
                    drawn, method = None, "order"
                    _cut(splits, cuts, pool, weights, shares)
            else:
                _give_each(drawn, shares)
        if drawn is not None:
            splits[pool] = drawn[members]
    if sizes is not None:
        _check_text(splits, cuts, sizes, shares)
    else:
        _check(kind, splits, shares, copies)
    return Assignment(splits, cuts, method)


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


def _give_each(drawn: Array, shares: tuple[float, float, float]) -> None:
    """Of a handful of examples one validates, though that is more than its share; the test split may stay empty."""
    if shares[1] > 0 and not (drawn == 1).any() and (drawn == 0).sum() > 1:
        drawn[np.flatnonzero(drawn == 0)[-1]] = 1


def _by_rank(order: Array, shares: tuple[float, float, float]) -> Array:
    """The first train, the next validate, the last test."""
    count = len(order)
    held = [max(1, round(share * count)) if share > 0 and count > 2 else 0 for share in shares[1:]]
    drawn = np.zeros(count, dtype=np.int8)
    drawn[order[count - held[0] - held[1] :]] = 1
    drawn[order[count - held[1] :]] = 2
    return drawn


def _stratified(strata: Array, keys: Array, shares: tuple[float, float, float]) -> Array:
    """Of each class its share: what rounding takes from one is given to the next."""
    drawn = np.zeros(len(strata), dtype=np.int8)
    owed = np.zeros(2)
    order = np.lexsort((keys, strata))
    borders = np.flatnonzero(np.diff(strata[order])) + 1
    for members in np.split(order, borders):
        owed += np.array(shares[1:]) * len(members)
        validation, test = np.floor(owed + 1e-9).astype(int).tolist()
        drawn[members[:validation]] = 1
        drawn[members[validation : validation + test]] = 2
        owed -= [validation, test]
    if len(strata) > 2:  # a split that is asked for has one at least
        for number in (1, 2):
            if shares[number] > 0 and not (drawn == number).any():
                drawn[order[np.flatnonzero(drawn[order] == 0)[-1]]] = number
    return drawn


def _cut(
    splits: Array,
    cuts: Cuts,
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


def _check_text(splits: Array, cuts: Cuts, characters: Array, shares: tuple[float, ...]) -> None:
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


def _check(kind: Kind, splits: Array, shares: tuple[float, float, float], copies: Duplicates) -> None:
    one, several = kind.line.noun
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
            f"No {one} is left to train on: {counts[1]:,} are in validation, {counts[2]:,} in test"
            + (f"; of the others {left_out}" if left_out else ""),
            f"Give more {several}, or draw the splits anew with --split 90 5 5",
        )
    if shares[1] > 0 and not counts[1]:
        if left_out:
            what = f"Of {len(splits):,} {several} {left_out}, which leaves {counts.sum():,}"
        elif counts.sum() == 1:
            what = f"There is 1 {one}"
        else:
            alike = "copies of one" if kind.together is None else f"copies of one or with one {kind.together}"
            what = f"There are {counts.sum():,} {several}, all {alike}"
        raise DaedalError(
            f"{what}: too few for a train and a {SPLITS[1]} split",
            f"Give more {several}, or train on all of them with --split 100 0 0",
        )
