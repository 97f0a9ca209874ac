"""How a model that reads both ways has its texts: what stands before, between and behind them, as `[CLS] a [SEP] b [SEP]` of
BERT (Devlin et al. 2019). A tokenizer's file says it; to those that we train it is added."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Int64
from tokenizers import Tokenizer

Array = np.ndarray


class Framed(NamedTuple):
    """A row for a model.

    Attributes:
        types: which of two texts each token belongs to, as the model counts.
        first, second: where the texts begin.
    """

    ids: Int64[Array, " tokens"]
    types: Int64[Array, " tokens"]
    first: int
    second: int


class Framing(NamedTuple):
    """What stands around one text, and around two: ids before, between and behind, and the types of all five parts."""

    single: tuple[Int64[Array, " before"], Int64[Array, " behind"]]
    double: tuple[Int64[Array, " before"], Int64[Array, " between"], Int64[Array, " behind"]]
    single_types: tuple[int, int, int]
    double_types: tuple[int, int, int, int, int]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """That of a tokenizer: nothing where it puts nothing around a text."""
        one, two = tokenizer.encode("a"), tokenizer.encode("a", "b")
        before, behind = _around(one.sequence_ids, 0)
        first, last = _around(two.sequence_ids, 0)
        other, end = _around(two.sequence_ids, 1)
        ids, types = np.array(two.ids, dtype=np.int64), [*two.type_ids, 1]
        return cls(
            (np.array(one.ids[:before], dtype=np.int64), np.array(one.ids[behind:], dtype=np.int64)),
            (ids[:first], ids[last:other], ids[end:]),
            (one.type_ids[0], one.type_ids[before], one.type_ids[-1]),
            (types[0], types[first], types[last], types[other], types[end] if end < len(ids) else types[other]),
        )

    @property
    def room(self) -> int:
        """Tokens that stand around one text."""
        return sum(map(len, self.single))

    @property
    def room_of_two(self) -> int:
        """Tokens that stand around two."""
        return sum(map(len, self.double))

    @property
    def types(self) -> int:
        """The highest number of a type of token that it gives."""
        return max(*self.single_types, *self.double_types)

    def one(self, ids: Sequence[int] | Int64[Array, " tokens"]) -> Framed:
        """A text's row."""
        before, behind = self.single
        return _framed((before, np.asarray(ids, dtype=np.int64), behind), self.single_types, (1, 1))

    def two(
        self, one: Sequence[int] | Int64[Array, " tokens"], other: Sequence[int] | Int64[Array, " others"]
    ) -> Framed:
        """The row of two texts."""
        before, between, behind = self.double
        parts = (before, np.asarray(one, dtype=np.int64), between, np.asarray(other, dtype=np.int64), behind)
        return _framed(parts, self.double_types, (1, 3))


def _around(sequences: Sequence[int | None], number: int) -> tuple[int, int]:
    """Where one of the texts begins and ends among the tokens."""
    places = [place for place, each in enumerate(sequences) if each == number]
    return (places[0], places[-1] + 1) if places else (0, 0)


def _framed(parts: Sequence[Any], types: Sequence[int], texts: tuple[int, int]) -> Framed:
    starts = np.cumsum([0, *map(len, parts)])
    return Framed(
        np.concatenate(parts), np.repeat(np.array(types, dtype=np.int64), [len(part) for part in parts]),
        int(starts[texts[0]]), int(starts[texts[1]]),
    )  # fmt: skip
