"""Captions and rows of ids of one width, for models that draw what a caption says.

- a caption is tidied first: lower case, one space between words, nothing that cannot be seen, no full stop at its end
- where a script puts no spaces between words, its characters are the words
- its ids stand at the end of the row, where the picture follows; what is before them is -1, as is a row that says nothing
- longer captions than a row are cut when they are learned; a prompt that is longer is refused (`abilities.py`)
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Int
from torch import Tensor

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.files import read_json, write_json

CAPTION_CODEC = "caption_codec.json"
_LARGEST_WINDOW = 64
_VOCABULARY = 2048  # words are whole tokens where there are not more of them
_READ = 100_000  # characters of a caption that are looked at
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters: no spaces tell their words apart, so that each stands for itself."""
_BETWEEN = re.compile(rf"(?<=[{_UNSPACED}]) ?(?=[{_UNSPACED}])")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’-][^\W_{_UNSPACED}]+)*")


class CaptionCodec:
    """Captions to rows of ids and back. Made by `train` or `load`.

    Args:
        window: ids of a row.
        words: every word that the captions had which it was made of.
    """

    def __init__(self, text: TextCodec, window: int, words: Iterable[str]) -> None:
        self.text, self.window, self.words = text, window, frozenset(words)

    @classmethod
    def train(cls, captions: Sequence[str], window: int | None = None) -> Self:
        """A codec learned from captions; empty ones say nothing.

        Args:
            window: ids of a row; those of the longest caption, at most 64, unless given.

        Raises:
            DaedalError: there is no caption.
        """
        told = [tidy(caption) for caption in captions]
        known = sorted({caption for caption in told if caption})
        if not known:
            raise DaedalError("None of the pictures has a caption", "Build the data with --captions")
        text = TextCodec.train("bpe", map(_apart, known), _VOCABULARY)
        longest = max(len(ids) for ids in text.encode_batch([_apart(caption) for caption in known]))
        return cls(text, window or min(longest, _LARGEST_WINDOW), {word for each in known for word in _words(each)})

    @property
    def vocab_size(self) -> int:
        """How many ids there are; -1 is none of them."""
        return self.text.vocab_size

    @cached_property
    def end_id(self) -> int:
        """The id that ends a caption."""
        assert self.text.eos_id is not None
        return self.text.eos_id

    def encode(self, captions: Sequence[str]) -> Int[Tensor, "captions window"]:
        """A row of ids for each caption."""
        rows = torch.full((len(captions), self.window), -1)
        told = [tidy(caption) for caption in captions]
        for row, ids in zip(rows, self.text.encode_batch([_apart(each) if each else "" for each in told]), strict=True):
            kept = ids[: self.window]
            row[self.window - len(kept) :] = torch.tensor(kept, dtype=torch.int64)
        return rows

    def decode(self, row: Int[Tensor, " ids"]) -> str:
        """The caption of ids, up to the one that ends it."""
        ids = [id for id in row.tolist() if id >= 0]
        ids = ids[: ids.index(self.end_id)] if self.end_id in ids else ids
        return _BETWEEN.sub("", self.text.decode(ids).strip())

    def lengths(self, captions: Sequence[str]) -> list[int]:
        """How many ids each caption has; more than `window` do not fit into a row."""
        return [len(ids) for ids in self.text.encode_batch([_apart(tidy(caption)) for caption in captions])]

    def shortened(self, caption: str) -> str:
        """A caption; of one that does not fit into a row, the beginning that does."""
        if self.lengths([caption])[0] <= self.window:
            return caption
        (row,) = self.encode([caption])
        # What is cut within a word may be written with more ids than it was cut from
        beginnings = (self.decode(row[:stop]) for stop in range(self.window, 0, -1))
        return next(beginning for beginning in beginnings if self.lengths([beginning])[0] <= self.window)

    def unknown(self, caption: str) -> tuple[str, ...]:
        """The words of a caption that no caption had which the codec was made of, in their order."""
        return tuple(dict.fromkeys(word for word in _words(tidy(caption)) if word not in self.words))

    def save(self, folder: Path) -> None:
        """Write `caption_codec.json` and the text codec's files."""
        self.text.save(folder)
        write_json(folder / CAPTION_CODEC, {"window": self.window, "words": sorted(self.words)})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DaedalError: it is not there, or damaged.
        """
        path = folder / CAPTION_CODEC
        values = read_json(path)
        match values:
            case {"window": int(window), "words": [*words]} if window > 0 and all(isinstance(w, str) for w in words):
                return cls(TextCodec.load(folder), window, words)
        raise DaedalError(f"{path} does not describe captions", "Restore it from a copy")


def tidy(caption: str) -> str:
    """A caption as it is learned and looked up."""
    text = unicodedata.normalize("NFKC", caption[:_READ]).lower()
    seen = "".join(" " if character.isspace() else character for character in text if _is_seen(character))
    return _BETWEEN.sub("", " ".join(seen.split())).rstrip(". ")


def _apart(caption: str) -> str:
    """A tidy caption with a space before each of its words."""
    return f" {_BETWEEN.sub(' ', caption)}"


def _is_seen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character)[0] != "C"


def _words(caption: str) -> list[str]:
    return _WORD.findall(caption)
