"""Chunks of text -> token ids, each document followed by the codec's end of document."""

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from daedal.config import Config
from daedal.data.ingest import each_document
from daedal.data.options import SPLITS
from daedal.data.shards import load_array
from daedal.data.sketch import WORDS
from daedal.data.spool import Spool
from daedal.files import atomic_path

if TYPE_CHECKING:
    from daedal.codecs.text import TextCodec

Array = np.ndarray
_PIECE = 2**15
_BATCH = 2**20
_LINE_END = re.compile(r"\n(?=\S)")
ASSIGNED = "splits.npy"
COLUMNS = ("splits", "tokens", "bytes", "characters", "hashes", "files", "rows", "sketches", "sketched")


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
    cuts: dict[int, tuple[tuple[int, int, int], ...]]


def encoded_path(folder: Path, unit: int, number: int) -> Path:
    """Where the tokens of a chunk lie."""
    return folder / f"{unit:06d}-{number:05d}.encoded.npz"


def encode_chunk(job: Job, spool: Spool, codec: "TextCodec", folder: Path) -> int:
    """Encode the documents of a chunk that go to a split.

    Args:
        job: which chunk.
        spool: where its text is.
        codec: text to ids.
        folder: where the tokens go; `splits.npy` in it says where each document goes.

    Returns:
        The bytes of text in the chunk.
    """
    chunk = spool.chunk(job.unit, job.number)
    text = spool.text(job.unit, job.number)
    path = encoded_path(folder, job.unit, job.number)
    if path.exists():
        return len(text)
    splits = load_array(folder / ASSIGNED)[job.first : job.first + len(chunk.ends)]
    pieces = list(_pieces(job, each_document(text, chunk.ends), splits, chunk.hashes))
    dtype = np.uint16 if codec.vocab_size <= 2**16 else np.uint32
    counts, tokens = encode_texts([piece.text for piece in pieces], codec, dtype)
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
        arrays[f"ids_{name}"] = (
            tokens[owner == split]
            if len(np.unique(destinations)) != 1
            else (tokens if len(destinations) and destinations[0] == split else tokens[:0])
        )
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    return len(text)


def _pieces(job: Job, documents: Iterator[bytes], splits: Array, hashes: Array) -> Iterator[Piece]:
    for number, (raw, split) in enumerate(zip(documents, splits.tolist(), strict=True)):
        if number in job.cuts:
            text = raw.decode()
            for to, low, high in job.cuts[number]:
                part = text[low:high]
                yield Piece(number, to, part, blake2b(part.encode(), digest_size=16).digest())
        elif split >= 0:
            yield Piece(number, split, raw.decode(), hashes[number].tobytes())


def encode_texts(texts: Sequence[str], codec: "TextCodec", dtype: type) -> tuple[Array, Array]:
    """Tokens of each text, its end of document included, and all their ids."""
    counts = np.ones(len(texts), dtype=np.int64)
    parts: list[Array] = []
    assert codec.eos_id is not None
    end = [codec.eos_id]
    batch: list[str] = []
    owners: list[int] = []
    waiting = 0

    def flush() -> None:
        ids: list[list[int]] = []
        for owner, found, following in zip(owners, codec.encode_batch(batch), [*owners[1:], None], strict=True):
            counts[owner] += len(found)
            ids.append(found)
            if following != owner:
                ids.append(end)
        parts.append(np.fromiter(chain.from_iterable(ids), dtype=dtype))
        batch.clear()
        owners.clear()

    for number, text in enumerate(texts):
        for piece in _cut(text):
            batch.append(piece)
            owners.append(number)
            waiting += len(piece)
        if waiting >= _BATCH:
            flush()
            waiting = 0
    if batch:
        flush()
    return counts, np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def _cut(text: str) -> Iterator[str]:
    """A long text in pieces that encode to the same tokens as the whole: they end where a line ends and the next begins
    with something else than white space, which no pre-tokenizer of ours joins."""
    begin = 0
    while len(text) - begin > _PIECE:
        match = _LINE_END.search(text, begin + _PIECE // 2)
        end = match.end() if match else len(text)
        if end - begin > 64 * _PIECE:
            end = begin + 32 * _PIECE
        yield text[begin:end]
        begin = end
    if begin < len(text) or not text:
        yield text[begin:]
