"""Conversations of unequal length in packs of about equal size: what a batch of conversations is made of.

- each pack holds as many as fit, the longest first and each into the fullest pack that has room (best fit decreasing): a few
  in a hundred places stay empty
- the packs are the same in all passes; a seed says in which order each pass goes through them, so that what a step learns
  from is a pure function of seed and step
- in a pack conversations lie one after the other, and none sees another (`daedal.nn.packing`)
"""

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64

from daedal.data.conversations import ConversationSplit
from daedal.data.windows import visit
from daedal.models.model import IGNORE
from daedal.models.sequences import Sequences, TargetBatch
from daedal.nn.packing import Packing

Array = np.ndarray


class Fitted(NamedTuple):
    """Conversations as rows of at most so many tokens.

    Attributes:
        rows: where each begins in its split, and how many of its tokens are read; the token after each is learned, where it is
            to be.
        cut: how many had to be cut, after an answer.
        dropped: how many were left out, since not even the first answer fits.
    """

    rows: Int64[Array, "rows 2"]
    cut: int
    dropped: int


def fit(offsets: Int64[Array, " rows_and_one"], said: Bool[Array, " tokens"], longest: int) -> Fitted:
    """What of each conversation is learned from: all up to the end of the last answer that ends within `longest` tokens.

    Args:
        offsets: where each begins in the stream of tokens, and last where the stream ends.
        said: which tokens of it the assistant says.
    """
    follows = np.append(said[1:], False)
    follows[offsets[1:-1] - 1] = False  # the next is of another conversation
    ends = np.flatnonzero(said & ~follows)  # the last tokens of answers
    ends = ends[
        ends > offsets[np.searchsorted(offsets, ends, side="right") - 1]
    ]  # the first of a row is learned nowhere
    rows, cut, dropped = [], 0, 0
    for begin, first, last in zip(
        offsets[:-1].tolist(), np.searchsorted(ends, offsets[:-1]).tolist(), np.searchsorted(ends, offsets[1:]).tolist(),
        strict=True,
    ):  # fmt: skip
        fitting = int(np.searchsorted(ends[first:last], begin + longest, side="right"))
        if not fitting:
            dropped += 1
            continue
        cut += first + fitting < last
        rows.append((begin, int(ends[first + fitting - 1]) - begin))
    return Fitted(np.array(rows, dtype=np.int64).reshape(-1, 2), cut, dropped)


def pack(lengths: Int64[Array, " rows"], room: int) -> list[list[int]]:
    """Rows in packs of at most `room` tokens: best fit decreasing."""
    packs: list[list[int]] = []
    open_packs: dict[int, list[int]] = {}  # by the tokens that they have room for
    rooms: list[int] = []  # of these, in order
    for row in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[row])
        place = bisect_left(rooms, length)
        if place < len(rooms):
            left = rooms[place]
            number = open_packs[left].pop()
            if not open_packs[left]:
                del open_packs[left], rooms[place]
        else:
            left, number = room, len(packs)
            packs.append([])
        packs[number].append(row)
        if left > length:
            if left - length not in open_packs:
                insort(rooms, left - length)
            open_packs.setdefault(left - length, []).append(number)
    return packs


class Packs:
    """The conversations of a split, packed.

    Args:
        room: tokens of a pack, and of the longest conversation.
        everything: whether all is learned, and not the answers alone.
        seed: of the order.

    Attributes:
        lengths: tokens of each conversation that are read.
        cut, dropped: see `Fitted`.
    """

    def __init__(self, split: ConversationSplit, room: int, everything: bool, seed: int) -> None:
        self._split, self._everything, self._seed, self.room = split, everything, seed, room
        fitted = fit(split.offsets, split.learned, room)
        self.cut, self.dropped = fitted.cut, fitted.dropped
        order = np.random.default_rng(seed).permutation(len(fitted.rows))  # of those that are equally long
        self._rows = fitted.rows[order]
        self.lengths = self._rows[:, 1]
        self.packs = pack(self.lengths, room)

    def __len__(self) -> int:
        """Packs."""
        return len(self.packs)

    @property
    def tokens(self) -> int:
        """Of all conversations."""
        return int(self.lengths.sum())

    def learned(self, sizes: Int64[Array, " vocab"]) -> tuple[int, int]:
        """The tokens that are learned, and their bytes."""
        targets = [self._row(row)[1] for row in range(len(self._rows))]
        ids = np.concatenate(targets) if targets else np.zeros(0, dtype=np.int64)
        ids = ids[ids != IGNORE]
        return len(ids), int(sizes[ids].sum())

    def batch(self, first: int, count: int) -> TargetBatch:
        """Packs `first` to `first + count` of an endless stream."""
        numbers, _ = visit(first, count, len(self.packs), self._seed)
        return self.rows([row for number in numbers.tolist() for row in self.packs[number]])

    def rows(self, rows: list[int]) -> TargetBatch:
        """Some conversations, the shortest first: in this order attention need not move them."""
        rows = sorted(rows, key=lambda row: (self.lengths[row], row))
        read = [self._row(row) for row in rows]
        ids, targets = (torch.from_numpy(np.concatenate(each)) for each in zip(*read, strict=True))
        return TargetBatch(Sequences(ids, Packing([len(each) for each, _ in read])), targets)

    def _row(self, row: int) -> tuple[Int64[Array, " tokens"], Int64[Array, " tokens"]]:
        """What is read of a conversation, and what follows each token of it, where that is learned."""
        begin, length = self._rows[row].tolist()
        ids = self._split.read(begin, begin + length + 1)
        if self._everything:
            return ids[:-1], ids[1:]
        return ids[:-1], np.where(self._split.learned[begin + 1 : begin + length + 1], ids[1:], IGNORE)
