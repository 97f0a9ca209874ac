"""Chunks of text -> token ids, each document followed by the codec's end of document."""

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Int8, Int64
from pydantic import Field

from daedal.config import Config
from daedal.data.canaries import Places, plant
from daedal.data.options import SPLITS
from daedal.data.sketch import WORDS
from daedal.data.split import Cuts
from daedal.data.spool import Chunk, each_document
from daedal.data.words import LINE_START, WordTable

if TYPE_CHECKING:
    from daedal.codecs.text import TextCodec

Array = np.ndarray
_PIECE = 2**15
_BATCH = 32
ASSIGNED = "splits.npy"


class Piece(NamedTuple):
    """A document, or a piece of one, on its way into a split."""

    document: int
    split: int
    text: str
    hash: bytes


class Job(Config):
    """A chunk to encode, and where its documents go."""

    unit: int
    number: int
    first: int  # of the chunk's documents, among all
    cuts: Cuts
    planted: dict[int, Places] = Field(default_factory=dict)


def encoded_path(folder: Path, unit: int, number: int) -> Path:
    """Where the tokens of a chunk lie."""
    return folder / f"{unit:06d}-{number:05d}.encoded.npz"


def encode_documents(
    text: bytes,
    chunk: Chunk,
    splits: Int8[Array, " documents"],
    cuts: Cuts,
    encoder: "Encoder",
    planted: dict[int, Places],
) -> dict[str, Array]:
    """Encode the documents of a chunk that go to a split.

    Args:
        text: of the chunk.
        splits: where each document goes.
        cuts: those that go there in pieces.
        encoder: text to ids.
        planted: lines that stand between their own, of those that train.
    """
    pieces = list(_pieces(each_document(text, chunk.ends), splits, chunk.hashes, cuts, planted))
    counts, tokens = encoder([piece.text for piece in pieces])
    which = np.array([piece.document for piece in pieces], dtype=np.int64)
    row_of = np.full(len(chunk.ends), -1, dtype=np.int64)
    row_of[chunk.sketched] = np.arange(len(chunk.sketched))
    rows = row_of[which]
    compact = np.zeros((len(which), WORDS), dtype=np.uint8)
    compact[rows >= 0] = chunk.sketches[rows[rows >= 0]] & 0xFF  # 8 bits a word: Li and König, "b-bit minwise hashing"
    destinations = np.array([piece.split for piece in pieces], dtype=np.int8)
    owner = np.repeat(destinations, counts)
    arrays: dict[str, Array] = {
        "splits": destinations,
        "tokens": counts,
        "bytes": np.array([len(piece.text.encode()) for piece in pieces], dtype=np.int64),
        "characters": np.array([len(piece.text) for piece in pieces], dtype=np.int64),
        "hashes": np.frombuffer(b"".join(piece.hash for piece in pieces), dtype=np.uint8).reshape(-1, 16),
        "files": chunk.files[which],
        "rows": chunk.rows[which],
        "sketches": compact,
        "sketched": rows >= 0,
        "labels": np.frombuffer(json.dumps(chunk.labels).encode(), dtype=np.uint8),
    }
    for split, name in enumerate(SPLITS):
        arrays[f"ids_{name}"] = tokens[owner == split]
    return arrays


def _pieces(
    documents: Iterator[bytes], splits: Array, hashes: Array, cuts: Cuts, planted: dict[int, Places]
) -> Iterator[Piece]:
    for number, (raw, split) in enumerate(zip(documents, splits.tolist(), strict=True)):
        if number in cuts:
            text = raw.decode()
            for to, low, high in cuts[number]:
                part = text[low:high] if to else plant(text[low:high], planted.get(number, ()))
                yield Piece(number, to, part, blake2b(part.encode(), digest_size=16).digest())
        elif split == 0 and number in planted:
            part = plant(raw.decode(), planted[number])
            yield Piece(number, split, part, blake2b(part.encode(), digest_size=16).digest())
        elif split >= 0:
            yield Piece(number, split, raw.decode(), hashes[number].tobytes())


def id_dtype(vocab_size: int) -> "np.dtype[np.unsignedinteger[Any]]":
    """The narrowest of the dtypes that ids are stored in which holds every id of a vocabulary."""
    return np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)


class Encoder:
    """Text to ids: through a table of words where the codec allows it, else by the codec itself."""

    def __init__(self, codec: "TextCodec") -> None:
        assert codec.eos_id is not None
        self.dtype = id_dtype(codec.vocab_size)
        self._codec = codec
        self._bytes = _byte_ids(codec, self.dtype)
        self._table = None if self._bytes is not None else WordTable.of(codec, self.dtype)
        self._end = np.array([codec.eos_id], dtype=self.dtype).tobytes()

    def __call__(self, texts: Sequence[str]) -> tuple[Int64[Array, " texts"], Array]:
        """Tokens of each text, its end of document included, and all their ids."""
        counts = np.zeros(len(texts), dtype=np.int64)
        parts: list[bytes] = []
        for number, text in enumerate(texts):
            if self._bytes is not None:
                found = [self._bytes[np.frombuffer(text.encode(), dtype=np.uint8)].tobytes()]
            elif self._table is not None:
                found = list(map(self._table.encode, _cut(text)))
            else:
                found = self._batched(list(_cut(text)))
            counts[number] = sum(map(len, found)) // self.dtype.itemsize + 1
            parts += found
            parts.append(self._end)
        return counts, np.frombuffer(b"".join(parts), dtype=self.dtype)

    def _batched(self, pieces: list[str]) -> list[bytes]:
        found = []
        for begin in range(0, len(pieces), _BATCH):
            ids = self._codec.encode_batch(pieces[begin : begin + _BATCH])
            found += [np.array(each, dtype=self.dtype).tobytes() for each in ids]
        return found


def _byte_ids(codec: "TextCodec", dtype: np.dtype) -> Array | None:
    """The id of each byte, for a codec that has no other tokens."""
    if codec.kind != "byte":
        return None
    ids = {codec.token_bytes(number): number for number in range(codec.vocab_size)}
    return np.array([ids[bytes([byte])] for byte in range(256)], dtype=dtype)


def _cut(text: str) -> Iterator[str]:
    """A long text in pieces that encode to the same tokens as the whole, or nearly so where it has no lines for a megabyte."""
    begin = 0
    while len(text) - begin > 2 * _PIECE:
        match = LINE_START.search(text, begin + _PIECE, begin + 32 * _PIECE)
        end = match.start() if match else min(len(text), begin + 32 * _PIECE)
        yield text[begin:end]
        begin = end
    yield text[begin:]
