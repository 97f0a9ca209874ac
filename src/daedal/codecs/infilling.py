"""Filling in the middle of a text: the marks that tell a model what stands before a hole and what stands after it.

- a text in three pieces, rearranged so that the middle comes last (Bavarian et al. 2022, arXiv:2207.14255): a model that goes
  from left to right then learns to write it after both others
- two orders: prefix, suffix, middle (PSM), and suffix, prefix, middle (SPM), where prefix and middle stand together
- each piece is encoded by itself, as it is when somebody asks: the tokens at a cut are those of the pieces
- the path of a file may stand before it, as in Qwen2.5-Coder: `<|file_sep|>json/decoder.py` and the end of the line
- tokenizers of others are recognised by the names of their marks
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from tokenizers import AddedToken, Tokenizer

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError

Order = Literal["psm", "spm"]


class Names(NamedTuple):
    """What a tokenizer calls its marks.

    Attributes:
        file: stands before the path of a file, where there is such a mark.
        ends: other marks that a model may end a middle with.
        order: what its models are asked with unless said.
    """

    prefix: str
    suffix: str
    middle: str
    file: str | None = None
    ends: tuple[str, ...] = ()
    order: Order = "psm"


_ADDED = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|file_sep|>")
OURS = Names(*_ADDED, order="spm")
"""A small model fills better where the middle goes on from the prefix (docs/benchmarks.md)."""
KNOWN = {
    "Qwen2.5-Coder": Names(*_ADDED, ends=("<|fim_pad|>", "<|repo_name|>")),
    "CodeGemma": Names(*_ADDED[:3], "<|file_separator|>"),
    "StarCoder2": Names("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<file_sep>", ("<fim_pad>", "<repo_name>")),
    "SantaCoder": Names("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    "DeepSeek-Coder": Names("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    "CodeLlama": Names("▁<PRE>", "▁<SUF>", "▁<MID>", ends=("▁<EOT>",)),
    "Daedal": OURS,
}
"""Names of marks by a model that has them; the first of which a tokenizer has all are its own."""


@dataclass(frozen=True)
class Infilling:
    """The marks of a tokenizer.

    Attributes:
        ends: marks that end a middle, besides what ends a text.
        order: what a model reads first unless said.
    """

    codec: TextCodec
    prefix: int
    suffix: int
    middle: int
    file: int | None
    ends: frozenset[int]
    order: Order

    @classmethod
    def of(cls, codec: TextCodec) -> Self | None:
        """Those of a codec; None where it has none."""
        for names in KNOWN.values():
            ids = [codec.id_of(name) for name in names[:4] if name is not None]
            others = [codec.id_of(name) for name in names.ends]
            if None in (*ids, *others):
                continue
            prefix, suffix, middle, *file = (id for id in ids if id is not None)
            ends = frozenset({prefix, suffix, middle, *file, *(id for id in others if id is not None)})
            return cls(codec, prefix, suffix, middle, file[0] if file else None, ends, names.order)
        return None

    def arranged(
        self, prefix: Sequence[int], suffix: Sequence[int], path: str | None = None, order: Order | None = None
    ) -> list[int]:
        """The ids after which a model writes the middle.

        Args:
            path: of the file; left out where the tokenizer has no mark for it.
        """
        named = self.named(path)
        if (order or self.order) == "spm":
            return [*named, self.prefix, self.suffix, *suffix, self.middle, *prefix]
        return [*named, self.prefix, *prefix, self.suffix, *suffix, self.middle]

    def named(self, path: str | None) -> list[int]:
        """The ids that tell the path of a file."""
        if path is None or self.file is None:
            return []
        return [self.file, *self.codec.encode(f"{path}\n")]


def with_marks(codec: TextCodec) -> TextCodec:
    """A codec with our marks: itself where it has marks; else they come on top of its ids, which stay as they are.

    Raises:
        DaedalError: its tokens are not made of bytes, so that a text in pieces would not be the text.
    """
    if Infilling.of(codec) is not None:
        return codec
    if not codec.byte_level:
        raise DaedalError(
            "This tokenizer does not give a text back as it was, so that it cannot be cut anywhere",
            "Build the data with --codec bpe",
        )
    tokenizer = Tokenizer.from_str(json.dumps(codec.state()))
    tokenizer.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in _ADDED])
    return TextCodec(tokenizer, dict(codec.settings))
