"""Batches of rows of ids, of unequal length and without padding, and what is to be learned of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from daedal.models.model import IGNORE, START, Moment
from daedal.nn.packing import Packing


@dataclass(frozen=True)
class Sequences:
    """Rows of ids, one after the other.

    Attributes:
        types: which of the parts of its row each token is of, 0 or 1; all 0 unless given.
    """

    ids: Int[Tensor, " tokens"]
    packing: Packing
    types: Int[Tensor, " tokens"] | None = None

    @classmethod
    def of(cls, rows: Sequence[Any], types: Sequence[Any] | None = None) -> Self:
        """Rows of ids, at least one in each."""
        return cls(line(rows), Packing([len(row) for row in rows]), None if types is None else line(types))

    def __len__(self) -> int:
        return len(self.packing)

    def to(self, device: torch.device | str) -> Self:
        types = None if self.types is None else self.types.to(device)
        return replace(self, ids=self.ids.to(device), packing=self.packing.to(device), types=types)


@dataclass(frozen=True)
class Batch:
    """What all batches can: move to a device, and be a part of a step."""

    moment: Moment = field(default=START, kw_only=True)

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        moved: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "moment"}
        for name, value in moved.items():
            moved[name] = value if value is None else value.to(device)
        return replace(self, **moved)

    def at(self, moment: Moment) -> Self:
        """The same batch as part of a step."""
        return replace(self, moment=moment)


@dataclass(frozen=True)
class TargetBatch(Batch):
    """What each token of a row is, where that is to be learned: the token that was hidden, or its tag."""

    sequences: Sequences
    targets: Int[Tensor, " tokens"]

    @property
    def count(self) -> int:
        return int((self.targets != IGNORE).sum())


@dataclass(frozen=True)
class LabelBatch(Batch):
    """What a row is: a class, 0 or 1 for each of several, or a number."""

    sequences: Sequences
    labels: Int[Tensor, " rows"] | Float[Tensor, "rows labels"] | Float[Tensor, " rows"]

    @property
    def count(self) -> int:
        return len(self.sequences)


@dataclass(frozen=True)
class SpanBatch(Batch):
    """The first and the last token of the answer in each row; 0, the row's first token, where there is none.

    Attributes:
        allowed: the tokens of which an answer may be: those of the context, and the first of each row.
    """

    sequences: Sequences
    starts: Int[Tensor, " rows"]
    ends: Int[Tensor, " rows"]
    allowed: Bool[Tensor, " tokens"]

    @property
    def count(self) -> int:
        return len(self.sequences)


@dataclass(frozen=True)
class TwinBatch(Batch):
    """Rows, and the one beside each that means the same; how alike they are where that is known."""

    one: Sequences
    other: Sequences
    scores: Float[Tensor, " rows"] | None = None

    @property
    def count(self) -> int:
        return len(self.one)


@dataclass(frozen=True)
class PreferenceBatch(Batch):
    """Conversations, of which some are compared with others.

    Attributes:
        chosen, rejected: the rows of the two of each pair.
        margins: by how much the chosen one is better; None where nothing says it.
    """

    sequences: Sequences
    chosen: Int[Tensor, " pairs"]
    rejected: Int[Tensor, " pairs"]
    margins: Float[Tensor, " pairs"] | None = None

    @property
    def count(self) -> int:
        return len(self.chosen)


@dataclass(frozen=True)
class PairBatch(Batch):
    """Rows, what a decoder has read of the row to write for each, and the token that follows each of those.

    `source` and `target` have groups of the same rows (`Packing.pair`).
    """

    source: Sequences
    target: Sequences
    targets: Int[Tensor, " tokens"]

    @classmethod
    def of(cls, sources: Sequence[Any], targets: Sequence[Any], start: int) -> Self:
        """Pairs of rows of ids; the decoder reads `start`, then all of its row but the last, which is the end of text."""
        one, other = Packing.pair([len(row) for row in sources], [len(row) for row in targets])
        read = [[start, *row[:-1]] for row in targets]
        return cls(Sequences(line(sources), one), Sequences(line(read), other), line(targets))

    @property
    def count(self) -> int:
        return int((self.targets != IGNORE).sum())


def line(rows: Sequence[Any]) -> Int[Tensor, " tokens"]:
    """Rows of ids, one after the other."""
    return torch.from_numpy(np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]))


def by_length(rows: Sequence[Any]) -> list[int]:
    """The numbers of rows from the shortest on: in this order attention need not move them."""
    return sorted(range(len(rows)), key=lambda row: len(rows[row]))
