"""Passages of documents, equally many tokens each, so that what a model says of training and of held-out ones can be compared.

A passage lies in one document. It is read after the one token that stands before it: the prefix of documents, where it begins
one.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import NotMeasurable

Array = np.ndarray
LENGTHS = (100, 64, 48, 32, 24, 16, 8)
"""Tokens of a passage: half of it is what a model is given, and half what it is to say (Carlini et al. 2021: 50 and 50)."""


@dataclass(frozen=True)
class Passages:
    """
    Attributes:
        rows: the token before each passage, then its own.
        document: that each stands in.
    """

    rows: Int[Array, "passages length_and_one"]
    document: Int[Array, " passages"]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def length(self) -> int:
        return int(self.rows.shape[1]) - 1

    @property
    def given(self) -> int:
        """Tokens that a model is given; it is to say the others."""
        return self.length // 2


def common_length(context: int, *splits: Documents) -> int:
    """The longest passage that fits a context and of which half of the documents of each split have one.

    Raises:
        NotMeasurable: the documents are too short.
    """
    for length in LENGTHS:
        if length <= context and all(2 * int((each.tokens >= length).sum()) >= len(each) for each in splits):
            return length
    raise NotMeasurable(
        f"Most documents have fewer than {LENGTHS[-1]} tokens: no passage of them can be told from others",
        "Audit a model of longer texts",
    )


def draw_alike(splits: Sequence[Documents], length: int, count: int, seed: int) -> list[Passages]:
    """So many passages of each split where it has them, at random and none over another.

    A document gives no more of them in one split than in another: else the longest ones of the larger split, of which the other
    has none, would tell the two apart.
    """
    each = [split.tokens // length for split in splits]
    wanted = min(count, *(int(some.sum()) for some in each))
    most = max(_limit(some, wanted) for some in each)
    return [draw(split, length, count, seed, most) for split in splits]


def _limit(each: Int[Array, " documents"], wanted: int) -> int:
    """The fewest passages of a document at which documents that have so many each give as many as are wanted."""

    def given(limit: int) -> int:
        return int(np.minimum(each, limit).sum())

    return 1 + bisect_left(range(1, int(each.max()) + 1), wanted, key=given)


def draw(documents: Documents, length: int, count: int, seed: int, most: int | None = None) -> Passages:
    """So many passages, at random and none over another.

    Args:
        most: of one document, at most.
    """
    generator = np.random.default_rng(seed)
    tokens = documents.tokens
    each = tokens // length
    document = np.repeat(np.arange(len(each)), each)
    number = np.arange(len(document)) - np.repeat(np.cumsum(each) - each, each)
    shift = generator.integers(0, tokens - each * length + 1)
    mixed = generator.permutation(len(document))
    grouped = mixed[np.argsort(document[mixed], kind="stable")]  # as the documents come, of each in a random order
    chosen = generator.permutation(grouped if most is None else grouped[number < most])[:count]
    start = documents.offsets[document[chosen]] + shift[document[chosen]] + number[chosen] * length
    return at(documents, start, length)


def at(documents: Documents, starts: Int[Array, " passages"], length: int) -> Passages:
    """The passages that begin at these places of the stream of tokens."""
    document = np.searchsorted(documents.offsets, starts, side="right") - 1
    rows = np.full((len(starts), length + 1), documents.prefix, dtype=np.int64)
    for row, (start, first) in enumerate(zip(starts.tolist(), documents.offsets[document].tolist(), strict=True)):
        lead = 0 if start > first else 1
        rows[row, lead:] = documents.read(start - 1 + lead, start + length)
    return Passages(rows, document)
