"""Reads SentencePiece's files: pieces with scores, how the text is normalised, and the tokenizer that this makes.

Format: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
"""

import struct
from collections.abc import Iterator
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

_NORMAL, _USER = 1, 4
_UNIGRAM = 1


def read_pieces(raw: bytes) -> Tokenizer:
    """The tokenizer of a unigram model (Kudo 2018); its ids are not those of the file, its tokens are, and of what is unknown
    the text.

    Raises:
        ValueError: the file is damaged, or a model of another type.
    """
    pieces: list[tuple[str, float]] = [("<unk>", 0.0)]
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for field, value in _fields(raw):
        if field == 1:
            entry = dict(_fields(value))
            if entry.get(3, _NORMAL) in (_NORMAL, _USER):
                pieces.append((entry[1].decode(), struct.unpack("<f", entry.get(2, bytes(4)))[0]))
        elif field == 2:
            trainer = dict(_fields(value))
        elif field == 3:
            normalizer = dict(_fields(value))
    if trainer.get(3, _UNIGRAM) != _UNIGRAM:
        raise ValueError("not a unigram model")
    if len(pieces) == 1:
        raise ValueError("it has no pieces")
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    steps: list[Any] = []
    if charsmap := normalizer.get(2):
        steps.append(normalizers.Precompiled(charsmap))
    if normalizer.get(4, 1):
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    first = "always" if normalizer.get(3, 1) else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=first, split=False)
    return tokenizer


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """The numbers and values of a message's fields: integers, bytes, or bytes of fixed length."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        match key & 7:
            case 0:
                value, at = _varint(raw, at)
                yield key >> 3, value
                continue
            case 2:
                size, at = _varint(raw, at)
            case 1:
                size = 8
            case 5:
                size = 4
            case _:
                raise ValueError("it is not a SentencePiece model")
        if at + size > len(raw):
            raise ValueError("it ends too early")
        yield key >> 3, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 64:
        byte = raw[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("it ends too early")
