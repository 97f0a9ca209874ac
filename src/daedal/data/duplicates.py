"""Exact and near duplicates: which documents to leave out, and which must stay together in one split.

Near duplicates share a band of their MinHash sketches (locality-sensitive hashing; Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3) and agree in enough of the 128 words. All of it works on documents in the order of their hashes,
so the outcome does not depend on the order of files.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from daedal.data.copies import Duplicates, settle, together
from daedal.data.corpus import Corpus
from daedal.data.sketch import WORDS, similarity
from daedal.data.windows import mix

Array = np.ndarray
_BANDS, _ROWS = (
    25,
    5,
)  # finds 99.99 % of pairs at similarity 0.8 and 99 % at 0.7; 5 % of those at 0.3 need a second look
_PAIRS_AT_ONCE = 2**18
_BLOCK_ROWS = 2**17


def find(corpus: Corpus, exact: bool, near: str, threshold: float) -> Duplicates:
    """Find duplicates.

    Args:
        corpus: the documents.
        exact: leave out all but one of equal documents.
        near: `drop` all but one of near duplicates, the longest, `keep` them in one split, or `off`.
        threshold: the similarity from which two documents are near duplicates.
    """

    def edges_of(identity: Array, first_of: Array) -> Array:
        return _near_pairs(corpus, identity, len(first_of), threshold)

    found = settle(corpus.hashes, corpus.roles, (corpus.bytes,), exact, near, edges_of)
    rows = np.searchsorted(corpus.sketched, np.array(found.pairs, dtype=np.int64).reshape(-1, 3)[:, :2])
    alike = similarity(corpus.sketches[rows[:, 0]], corpus.sketches[rows[:, 1]]).tolist()
    found = replace(found, pairs=tuple((*pair[:2], each) for pair, each in zip(found.pairs, alike, strict=True)))
    return together(found, np.stack([np.arange(len(corpus)), corpus.groups], axis=1))  # parts of one long text


def _near_pairs(corpus: Corpus, identity: Array, texts: int, threshold: float) -> Int64[Array, "pairs 2"]:
    """Pairs of texts, by rank, whose sketches agree in at least `threshold` of their words."""
    ranks, row_of = np.unique(identity[corpus.sketched], return_index=True)  # one sketch a text, in the order of ranks
    if len(ranks) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    found: list[Array] = []
    group = max(1, int(200e6 // (8 * len(ranks))))  # bands held in memory at once
    for first in range(0, _BANDS, group):
        for keys in _band_keys(corpus.sketches, row_of, range(first, min(_BANDS, first + group))):
            order = np.argsort(keys, kind="stable")
            same = keys[order][1:] == keys[order][:-1]
            later = np.flatnonzero(same) + 1
            if not len(later):
                continue
            start = np.zeros(len(order), dtype=np.int64)
            start[np.flatnonzero(~same) + 1] = np.flatnonzero(~same) + 1
            start = np.maximum.accumulate(start)
            # Each is compared with the first and with the one before it, not with all: a large bucket stays cheap.
            pairs = np.concatenate(
                [np.stack([order[start[later]], order[later]], 1), np.stack([order[later - 1], order[later]], 1)]
            )
            found.append(np.unique(pairs, axis=0))
    if not found:
        return np.zeros((0, 2), dtype=np.int64)
    pairs = np.unique(np.concatenate(found), axis=0)
    near = np.zeros(len(pairs), dtype=bool)
    for begin in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = row_of[pairs[begin : begin + _PAIRS_AT_ONCE]]
        near[begin : begin + _PAIRS_AT_ONCE] = (
            similarity(corpus.sketches[part[:, 0]], corpus.sketches[part[:, 1]]) >= threshold
        )
    return np.asarray(ranks[pairs[near]])


def _band_keys(sketches: Array, row_of: Array, bands: range) -> list[Array]:
    keys = [np.empty(len(row_of), dtype=np.uint64) for _ in bands]
    for begin in range(0, len(row_of), _BLOCK_ROWS):
        block = np.asarray(sketches[row_of[begin : begin + _BLOCK_ROWS]]).astype(np.uint64)
        for place, band in enumerate(bands):
            key = np.zeros(len(block), dtype=np.uint64)
            for column in range(band * _ROWS, band * _ROWS + _ROWS):
                key = mix(key + block[:, column] + np.uint64(1))
            keys[place][begin : begin + _BLOCK_ROWS] = key
    return keys


assert _BANDS * _ROWS <= WORDS
