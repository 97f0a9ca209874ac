"""What is measured: documents as token ids, with the bytes and characters of their text.

A split of a dataset or any texts; both look the same to what measures them. Each document is followed by the end-of-text id.
Of conversations only what is learned of them may be counted, the answers, each after all that stands before it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from daedal.codecs.text import TextCodec
from daedal.data.shards import Split
from daedal.errors import DaedalError

_FEW = 4  # with fewer documents than this, confidence intervals are taken over blocks of text
_BLOCKS = 8
_LEAST_BLOCK = 64


@dataclass(frozen=True)
class TokenTable:
    """The bytes that each token stands for, laid end to end."""

    flat: Int[np.ndarray, " bytes"]
    starts: Int[np.ndarray, " vocab"]
    lengths: Int[np.ndarray, " vocab"]
    characters: Int[np.ndarray, " vocab"]

    @classmethod
    def of(cls, codec: TextCodec, end: bytes = b"") -> "TokenTable":
        """The table of a codec; the end-of-text token stands for `end`."""
        pieces = [codec.token_bytes(id) if id != codec.eos_id else end for id in range(codec.vocab_size)]
        lengths = np.array([len(piece) for piece in pieces], dtype=np.int64)
        flat = np.frombuffer(b"".join(pieces), dtype=np.uint8)
        # A character is counted at its first byte: every byte but those of the form 10xxxxxx
        firsts = np.concatenate([[0], np.cumsum((flat & 0xC0) != 0x80)])
        ends = np.cumsum(lengths)
        return cls(flat, ends - lengths, lengths, firsts[ends] - firsts[ends - lengths])

    def decode(self, ids: Int[np.ndarray, " tokens"]) -> Int[np.ndarray, " bytes"]:
        """The bytes of a run of tokens."""
        lengths = self.lengths[ids]
        ends = np.cumsum(lengths)
        return self.flat[np.repeat(self.starts[ids] - (ends - lengths), lengths) + np.arange(int(lengths.sum()))]


@dataclass(frozen=True)
class Documents:
    """Documents to measure on.

    Attributes:
        name: what a person calls them, such as "validation".
        offsets: where each document's tokens begin, its end-of-text included in its length.
        bytes: length of each document's text in UTF-8, or of what is counted of it.
        characters: length of the same.
        fingerprint: SHA-256 of the tokens.
        read: the tokens from a position to another.
        text: the text of one document.
    """

    name: str
    codec: TextCodec
    offsets: Int[np.ndarray, " documents_and_one"]
    bytes: Int[np.ndarray, " documents"]
    characters: Int[np.ndarray, " documents"]
    fingerprint: str
    read: Callable[[int, int], Int[np.ndarray, " tokens"]]
    text: Callable[[int], str]
    answers: Bool[np.ndarray, " tokens"] | None = None
    """Which tokens are counted, where not all are."""
    opening: Callable[[int], list[int]] = lambda document: []
    """The tokens of a conversation before the first that is learned; none of a text."""

    @classmethod
    def of_split(cls, split: Split, codec: TextCodec) -> "Documents":
        """The documents of a dataset's split."""
        if not split.documents:
            raise DaedalError(
                f"The {split.name} split is empty", "Build the data with a larger share for it, or choose another split"
            )
        documents = cls(
            split.name, codec, split.offsets, split.document_bytes, np.zeros(0, dtype=np.int64),
            split.fingerprint, split.read, split.text, opening=split.opening,
        )  # fmt: skip
        return replace(documents, characters=documents._count_characters())

    @classmethod
    def of_texts(cls, texts: Iterable[str], codec: TextCodec, name: str = "text") -> "Documents":
        """Any texts, held in memory."""
        kept = [text.encode("utf-8", "replace").decode() for text in texts]
        kept = [text for text in kept if text]
        if not kept:
            raise DaedalError(f"{name} holds no text", "Give a file with some text in it")
        ids = codec.encode_batch(kept)
        end = _end(codec)
        flat = np.array([id for document in ids for id in (*document, end)], dtype=np.int64)
        return cls(
            name, codec, np.cumsum([0, *(len(document) + 1 for document in ids)]),
            np.array([len(text.encode()) for text in kept]), np.array([len(text) for text in kept]),
            hashlib.sha256(flat.astype("<u4").tobytes()).hexdigest(), lambda start, stop: flat[start:stop], kept.__getitem__,
        )  # fmt: skip

    def of_answers(self, answers: Bool[np.ndarray, " tokens"]) -> "Documents":
        """The same, of which only some tokens are counted, and the bytes that these add to the text.

        Raises:
            DaedalError: there are none.
        """
        answers = np.array(answers)
        answers[self.offsets[1:] - 1] = False  # the ends of documents are counted in none
        if not answers.any():
            raise DaedalError(f"The {self.name} split has no answer to measure on", "Choose another split")
        masked = replace(self, answers=answers, fingerprint=_hash(self.fingerprint, "answers"))
        sizes, characters = (masked._weights(weights) for weights in (self.table.lengths, self.table.characters))
        return replace(masked, bytes=sizes, characters=characters)

    def some(self, which: Int[np.ndarray, " some"]) -> "Documents":
        """Some of the documents alone, by their places, held in memory."""
        places = which.tolist()
        ends = [(int(self.offsets[place]), int(self.offsets[place + 1])) for place in places]
        pieces = [self.read(*each) for each in ends]
        flat = np.concatenate(pieces)
        answers = None if self.answers is None else np.concatenate([self.answers[slice(*each)] for each in ends])
        return replace(
            self, answers=answers, offsets=np.cumsum([0, *map(len, pieces)]), bytes=self.bytes[which],
            characters=self.characters[which], fingerprint=_hash(self.fingerprint, str(places)),
            read=lambda start, stop: flat[start:stop], text=lambda place: self.text(places[place]),
            opening=lambda place: self.opening(places[place]),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.bytes)

    @property
    def end(self) -> int:
        """The end-of-text id, which stands after every document."""
        return _end(self.codec)

    @property
    def prefix(self) -> int:
        """What a model sees before every document: the beginning-of-text id, or the end-of-text where there is none."""
        return self.codec.bos_id if self.codec.bos_id is not None else self.end

    @property
    def prefix_name(self) -> str:
        return "end-of-text" if self.prefix == self.end else "bos"

    @property
    def tokens(self) -> Int[np.ndarray, " documents"]:
        """Tokens of text in each document, the end-of-text left out."""
        lengths: Int[np.ndarray, " documents"] = np.diff(self.offsets) - 1
        return lengths

    @cached_property
    def counted(self) -> Int[np.ndarray, " documents"]:
        """Tokens of each document that are predicted and counted."""
        return self.tokens if self.answers is None else self._weights(np.ones_like(self.table.lengths))

    @cached_property
    def table(self) -> TokenTable:
        return TokenTable.of(self.codec)

    @cached_property
    def exact(self) -> bool:
        """Whether the tokens' bytes laid end to end are the text: true of byte-level codecs."""
        return self.answers is not None or int(self._weights(self.table.lengths).sum()) == int(self.bytes.sum())

    def chunks(self, tokens: int = 2**20) -> Iterator[tuple[int, Int[np.ndarray, " tokens"]]]:
        """All tokens in order, in pieces, each with its position."""
        last = int(self.offsets[-1])
        for start in range(0, last, tokens):
            yield start, self.read(start, min(start + tokens, last))

    def text_bytes(self, limit: int | None = None) -> Any:
        """The bytes of all texts, one after the other, as an array; the last `limit` of them if that is given."""
        if not self.exact:
            whole = "".join(self.text(index) for index in range(len(self))).encode()
            return np.frombuffer(whole if limit is None else whole[-limit:], dtype=np.uint8)
        last, pieces, length = int(self.offsets[-1]), list[Any](), 0
        while last > 0 and (limit is None or length < limit):
            start = max(0, last - 2**20)
            pieces.append(self.table.decode(self.read(start, last)))
            length, last = length + len(pieces[-1]), start
        joined = np.concatenate(pieces[::-1])
        return joined if limit is None else joined[-limit:]

    # -- the pieces that confidence intervals rest on ------------------------------------------------------------------

    @property
    def by_blocks(self) -> bool:
        """Whether intervals are taken over blocks of text, there being too few documents."""
        return len(self) < _FEW

    @cached_property
    def block(self) -> int:
        """Tokens in a block."""
        return max(_LEAST_BLOCK, -(-int(self.tokens.sum()) // _BLOCKS))

    def piece_of(
        self, document: Int[np.ndarray, " tokens"], position: Int[np.ndarray, " tokens"]
    ) -> Int[np.ndarray, " tokens"]:
        """The piece (a document, or a block of one) that holds each token, given its position in its document."""
        if not self.by_blocks:
            return document
        blocks = -(-self.tokens // self.block)
        place: Int[np.ndarray, " tokens"] = (np.cumsum(blocks) - blocks)[document] + position // self.block
        return place

    @cached_property
    def pieces(self) -> tuple[Int[np.ndarray, " pieces"], Int[np.ndarray, " pieces"], Int[np.ndarray, " pieces"]]:
        """Tokens, bytes and characters of each piece, of what is counted."""
        if not self.by_blocks:
            return self.counted, self.bytes, self.characters
        count = int((-(-self.tokens // self.block)).sum())
        tokens, sizes, characters = (np.zeros(count, dtype=np.int64) for _ in range(3))
        for index, length in enumerate(self.tokens):
            first, last = int(self.offsets[index]), int(self.offsets[index] + length)
            kept = np.arange(length) if self.answers is None else np.flatnonzero(self.answers[first:last])
            ids, piece = self.read(first, last)[kept], self.piece_of(np.full(len(kept), index), kept)
            tokens += np.bincount(piece, minlength=count)
            sizes += np.bincount(piece, weights=self.table.lengths[ids], minlength=count).astype(np.int64)
            characters += np.bincount(piece, weights=self.table.characters[ids], minlength=count).astype(np.int64)
        return tokens, sizes, characters

    def _count_characters(self) -> Int[np.ndarray, " documents"]:
        if self.exact:
            return self._weights(self.table.characters)
        return np.array([len(self.text(index)) for index in range(len(self))], dtype=np.int64)

    def _weights(self, weights: Int[np.ndarray, " vocab"]) -> Int[np.ndarray, " documents"]:
        """The sum of a weight of each token that is counted, for every document."""
        totals = np.zeros(len(self), dtype=np.int64)
        for start, ids in self.chunks():
            owner = np.searchsorted(self.offsets, np.arange(start, start + len(ids)), side="right") - 1
            weight = weights[ids] if self.answers is None else weights[ids] * self.answers[start : start + len(ids)]
            totals += np.bincount(owner, weights=weight, minlength=len(self)).astype(np.int64)
        return totals


def _end(codec: TextCodec) -> int:
    if codec.eos_id is None:
        raise DaedalError(
            "The codec has no end-of-text token", "Use a tokenizer whose tokenizer_config.json names eos_token"
        )
    return codec.eos_id


def _hash(*parts: object) -> str:
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()
