"""Which split each example of a kind with columns goes to: where its source says so there, else as its kind draws."""

import numpy as np
from jaxtyping import Float64, Int64

from daedal.data.corpus import Corpus
from daedal.data.duplicates import Duplicates
from daedal.data.example_options import ExampleOptions
from daedal.data.kind import InTime, Kind, Stratified
from daedal.data.options import SPLITS
from daedal.data.split import LEFT_OUT, Assignment, draw, shares_of
from daedal.data.windows import mix
from daedal.errors import DaedalError

Array = np.ndarray


def assign_examples(
    kind: Kind,
    found: Duplicates,
    corpus: Corpus,
    options: ExampleOptions,
    strata: Int64[Array, " examples"] | None,
    times: Float64[Array, " examples"] | None,
) -> Assignment:
    """Draw examples into splits.

    Args:
        strata: the number of each example's class, where each class is to have its share.
        times: when each is from, where the last are held out.

    Raises:
        DaedalError: there are too few.
    """
    splits = np.where(found.keep, corpus.roles, LEFT_OUT).astype(np.int8)
    pool = np.flatnonzero(found.keep & (corpus.roles == 0))
    shares = shares_of(options, corpus.roles[found.keep])
    method = "given"
    if len(pool) and shares[0] < 1:
        groups, firsts, members = np.unique(found.groups[pool], return_index=True, return_inverse=True)
        if isinstance(kind.split, InTime) and times is not None:
            latest = np.full(len(groups), -np.inf)
            np.maximum.at(latest, members, times[pool])
            drawn, method = _by_rank(np.argsort(latest, kind="stable"), shares), "time"
        elif isinstance(kind.split, Stratified) and strata is not None:
            keyed = mix(corpus.hashes[pool[firsts], 0] ^ mix(np.full(len(groups), options.seed + 1, dtype=np.uint64)))
            drawn, method = _stratified(strata[pool[firsts]], keyed, shares), "class"
        else:
            sizes = np.ones(len(pool), dtype=np.int64)
            drawn, method, _ = draw(corpus.hashes[pool], members.astype(np.int64), sizes, shares, options.seed)
        splits[pool] = drawn[members]
    counts = np.bincount(splits[splits >= 0], minlength=3)
    for number, share in enumerate(shares):
        if share > 0 and not counts[number]:
            raise DaedalError(
                f"Of {len(corpus):,} {kind.nouns} {counts.sum():,} are left, too few for a {SPLITS[number]} split",
                "Give more, or train on all of them with --split 100 0 0",
            )
    return Assignment(splits, {}, method)


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
