"""How a model that reads both ways has its texts: what stands before, between and behind them, as `[CLS] a [SEP] b [SEP]` of
BERT (Devlin et al. 2019). A tokenizer's file says it; to those that we train it is added."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from jaxtyping import Int64
from tokenizers import AddedToken, Tokenizer, processors

if TYPE_CHECKING:
    from daedal.codecs.text import TextCodec

Array = np.ndarray
FIRST, BETWEEN, HIDDEN, EMPTY = "[CLS]", "[SEP]", "[MASK]", "[PAD]"
_NAMES = {"cls_token": FIRST, "sep_token": BETWEEN, "mask_token": HIDDEN, "pad_token": EMPTY}


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


def marked(codec: "TextCodec") -> "TextCodec":
    """A codec with the marks of a model that reads both ways: itself where it has them; else they come on top of its ids."""
    from daedal.codecs.text import TextCodec

    if codec.mask_id is not None and codec.framing.room:
        return codec
    settings, tokenizer = codec.settings, Tokenizer.from_str(json.dumps(codec.state()))
    joins = codec.kind == "bpe"  # the space before a word is the word's, so that before a mask is the mask's
    tokenizer.add_special_tokens([
        AddedToken(mark, special=True, normalized=False, lstrip=joins and mark == HIDDEN) for mark in _NAMES.values()
    ])  # fmt: skip
    first, between = (str(mark) for mark in (FIRST, BETWEEN))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {between}",
        pair=f"{first} $A {between} $B:1 {between}:1",
        special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in (first, between)],
    )
    return TextCodec(tokenizer, settings | _NAMES)


def word_starts(codec: "TextCodec") -> Int64[Array, " ids"]:
    """1 for each id that begins a word, 0 for those that go on with one, and for special tokens 1."""
    starts = np.ones(codec.vocab_size, dtype=np.int64)
    for id in range(codec.vocab_size):
        if id in codec.special_ids:
            continue
        name = codec.piece(id)
        if codec.byte_level:
            starts[id] = not (codec.token_bytes(id).decode("utf-8", "replace")[:1] or " ").isalpha()
        else:
            starts[id] = not (name.startswith("##") or (codec.spaced and not name.startswith("▁")))
    return starts


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
