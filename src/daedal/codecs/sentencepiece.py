"""Writes SentencePiece's `tokenizer.model`, the one vocabulary of our own that llama.cpp's converter takes.

The converter knows byte-level vocabularies by a list of hashes, in which a new one cannot be. A SentencePiece model it takes
as it is. Both join neighbours by the rank of what they make, so the tokens are the same where no token lies across the
border of two words (`PATTERN` in `text.py` sees to that) and every way to make a token is a merge (`_assemble` does).

Format: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

KINDS = {"normal": 1, "unknown": 2, "control": 3, "user": 4, "unused": 5, "byte": 6}
"""The numbers of the kinds, in SentencePiece's files and in llama.cpp's."""


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary; neighbours that make the piece with the highest score are joined first."""

    text: str
    kind: Literal["normal", "unknown", "control", "unused", "byte"]
    score: float = 0.0


def write_model(pieces: Iterable[Piece]) -> bytes:
    """A byte-pair model with byte fallback that leaves the text as it is, but for `▁` in place of the space."""
    body, count, unknown = b"", 0, 0
    for piece in pieces:
        entry = _text(1, piece.text) + _key(2, 5) + struct.pack("<f", piece.score) + _number(3, KINDS[piece.kind])
        body += _message(1, entry)
        unknown = count if piece.kind == "unknown" else unknown
        count += 1
    none = 2**64 - 1  # -1
    trainer = _number(3, 2) + _number(4, count) + _number(35, 1)
    trainer += _number(40, unknown) + _number(41, none) + _number(42, none) + _number(43, none)
    normalizer = _text(1, "identity") + _number(3, 0) + _number(4, 0) + _number(5, 1)
    return body + _message(2, trainer) + _message(3, normalizer)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())
