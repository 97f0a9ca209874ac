"""Exact and near duplicates: which documents to leave out, and which must stay together in one split.

Near duplicates share a band of their MinHash sketches (locality-sensitive hashing; Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3) and agree in enough of the 128 words. All of it works on documents in the order of their hashes,
so the outcome does not depend on the order of files.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from daedal.data.copies import components, identities, representatives
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


@dataclass(frozen=True)
class Duplicates:
    """What was found.

    Attributes:
        keep: which documents stay.
        groups: a number for each document, equal for those that must stay together in one split.
        exact: documents left out because the same text is kept.
        near: documents left out because a near copy is kept.
        held_out: train documents left out because they occur in a validation or test file.
        clusters: groups of near duplicates.
        largest: documents in the largest of them.
        examples: pairs (left out, kept, similarity).
    """

    keep: Bool[Array, " documents"]
    groups: Int64[Array, " documents"]
    exact: int
    near: int
    held_out: int
    clusters: int
    largest: int
    examples: tuple[tuple[int, int, float], ...]


def find(corpus: Corpus, exact: bool, near: str, threshold: float) -> Duplicates:
    """Find duplicates.

    Args:
        corpus: the documents.
        exact: leave out all but one of equal documents.
        near: `drop` all but one of near duplicates, `keep` them in one split, or `off`.
        threshold: the similarity from which two documents are near duplicates.
    """
    count = len(corpus)
    order = np.lexsort((-corpus.roles, corpus.hashes[:, 1], corpus.hashes[:, 0]))
    # Of each text the first is a test document if there is one, else validation, else the first in order.
    identity, first_of = identities(corpus.hashes, order)
    texts = len(first_of)

    held = corpus.roles > 0
    keep = np.ones(count, dtype=bool)
    if exact:
        keep[:] = False
        keep[first_of] = True
        keep |= held  # a validation or test file stays as it is
    best_role = corpus.roles[first_of][identity]
    overlapping = corpus.roles < best_role
    keep &= ~overlapping
    removed_exact = int((~keep & ~overlapping).sum())
    removed_held = int(overlapping.sum())

    cluster = np.arange(texts)
    edges = _near_pairs(corpus, identity, texts, threshold) if near != "off" else np.zeros((0, 2), dtype=np.int64)
    cluster = components(texts, edges)
    removed_near = 0
    examples: list[tuple[int, int, float]] = []
    members = cluster[identity]
    sizes = np.bincount(cluster, minlength=texts)
    if len(edges):
        role = np.zeros(texts, dtype=np.int8)
        np.maximum.at(role, members, corpus.roles)
        beaten = keep & (corpus.roles < role[members])
        removed_held += int(beaten.sum())
        chosen = _representatives(corpus, cluster, first_of)
        if near == "drop":
            extra = keep & ~beaten & (corpus.roles == 0) & (chosen[members] != identity)
            removed_near = int(extra.sum())
            keep &= ~extra
            examples = _examples(corpus, identity, first_of, np.flatnonzero(extra), chosen[members])
        keep &= ~beaten

    # Parts of one long text, copies and near copies go to one split.
    texts_and_groups = np.stack([members, cluster[identity[corpus.groups]]], axis=1)
    joined = components(texts, texts_and_groups[texts_and_groups[:, 0] != texts_and_groups[:, 1]])
    return Duplicates(
        keep=keep,
        groups=joined[members],
        exact=removed_exact,
        near=removed_near,
        held_out=removed_held,
        clusters=int((sizes > 1).sum()),
        largest=int(sizes.max(initial=0)) if (sizes > 1).any() else 0,
        examples=tuple(examples),
    )


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


def _representatives(corpus: Corpus, cluster: Array, first_of: Array) -> Int64[Array, " texts"]:
    """For each cluster the text that stays: the longest, and of equally long ones the smallest hash."""
    return representatives(cluster, np.lexsort((np.arange(len(cluster)), -corpus.bytes[first_of], cluster)))


def _examples(
    corpus: Corpus, identity: Array, first_of: Array, removed: Array, kept: Array
) -> list[tuple[int, int, float]]:
    row_of = {int(identity[document]): row for row, document in enumerate(corpus.sketched)} if len(removed) else {}
    pairs = []
    for document in removed[:5].tolist():
        other = int(kept[document])
        sketches = corpus.sketches[[row_of[int(identity[document])]]], corpus.sketches[[row_of[other]]]
        pairs.append((document, int(first_of[other]), float(similarity(*sketches)[0])))
    return pairs


assert _BANDS * _ROWS <= WORDS
