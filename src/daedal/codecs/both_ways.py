"""What a codec has for a model that reads both ways: marks around its texts and in place of what is hidden; and where words
begin."""

import json
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64
from tokenizers import AddedToken, Tokenizer, processors

from daedal.codecs.text import TextCodec

Array = np.ndarray
FIRST, BETWEEN, HIDDEN, EMPTY = "[CLS]", "[SEP]", "[MASK]", "[PAD]"
_NAMES = {"cls_token": FIRST, "sep_token": BETWEEN, "mask_token": HIDDEN, "pad_token": EMPTY}


def marked(codec: TextCodec) -> TextCodec:
    """A codec with the marks of a model that reads both ways: itself where it has them; else they come on top of its ids."""
    if codec.mask_id is not None and codec.framing.room:
        return codec
    settings, tokenizer = codec.settings, Tokenizer.from_str(json.dumps(codec.state()))
    joins = codec.kind == "bpe"  # the space before a word is the word's, so that before a mask is the mask's
    tokenizer.add_special_tokens([
        AddedToken(mark, special=True, normalized=False, lstrip=joins and mark == HIDDEN) for mark in _NAMES.values()
    ])  # fmt: skip
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{FIRST} $A {BETWEEN}",
        pair=f"{FIRST} $A {BETWEEN} $B:1 {BETWEEN}:1",
        special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in (FIRST, BETWEEN)],
    )
    return TextCodec(tokenizer, settings | _NAMES)


def word_starts(codec: TextCodec) -> Int64[Array, " ids"]:
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


def first_tokens(words: Sequence[str], places: Sequence[tuple[int, int]]) -> list[int | None]:
    """The number of the first token of each word, where words stand a space apart, by the characters of tokens; a token may
    take in the space before its word. None where the tokenizer makes nothing of a word."""
    found: list[int | None] = []
    token = begin = 0
    for word in words:
        while token < len(places) and places[token][1] <= begin:
            token += 1
        found.append(token if token < len(places) and places[token][0] < begin + len(word) else None)
        begin += len(word) + 1
    return found


def begins_with(codec: TextCodec, other: TextCodec) -> bool:
    """Whether the first ids of a codec are those of another: then what that encoded need not be read again."""
    ids = range(other.vocab_size)
    return [codec.piece(id) for id in ids] == [other.piece(id) for id in ids]
