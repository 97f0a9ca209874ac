"""MinHash sketches of documents over word five-grams, for near duplicates now and contamination audits later.

Words are runs of letters and digits (any byte past ASCII counts as a letter), in lower case. Word and five-gram hashes are
computed for megabytes at a time with numpy; the 128 minima with `rensa`. Broder, "On the resemblance and containment of
documents", 1997.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64, UInt32, UInt64

from daedal.data.windows import mix

Array = np.ndarray
WORDS = 128
GRAM = 5
FEWEST = 10  # documents with fewer words are compared for equality only: five-grams say too little of them
_SEED = 1
_BLOCK = 2**20
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64


def sketch(
    text: bytes, ends: Int64[Array, " documents"], enabled: bool = True
) -> tuple[Int64[Array, " sketched"], UInt32[Array, "sketched 128"]]:
    """Sketches of the documents in `text` that have at least `FEWEST` words.

    Args:
        text: UTF-8 of documents end to end.
        ends: where each ends.
        enabled: whether any are wanted.

    Returns:
        Which documents have a sketch, and the sketches.
    """
    numbers: list[Array] = []
    rows: list[Array] = []
    first = 0
    powers = _powers(min(len(text), _BLOCK) if enabled else 0)
    while enabled and first < len(ends):
        begin = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK, side="right")))
        block = np.frombuffer(text, dtype=np.uint8, count=int(ends[last - 1]) - begin, offset=begin)
        which, found = _sketch_block(block, ends[first:last] - begin, powers)
        numbers.append(which + first)
        rows.append(found)
        first = last
    if not numbers:
        return np.zeros(0, dtype=np.int64), np.zeros((0, WORDS), dtype=np.uint32)
    return np.concatenate(numbers), np.concatenate(rows)


def similarity(left: UInt32[Array, "pairs 128"], right: UInt32[Array, "pairs 128"]) -> np.ndarray:
    """The estimated Jaccard similarity of pairs of documents, from their sketches."""
    return np.asarray((left == right).mean(axis=1))


def _sketch_block(block: Array, ends: Array, powers: tuple[Array, Array]) -> tuple[Array, Array]:
    from rensa import RMinHash  # type: ignore[import-untyped]

    grams, borders = _five_grams(block, ends, powers)
    counts = np.diff(borders)
    which = np.flatnonzero(counts >= FEWEST - GRAM + 1)
    if not len(which):
        return which, np.zeros((0, WORDS), dtype=np.uint32)
    keep = np.repeat(counts >= FEWEST - GRAM + 1, counts)
    offsets = np.concatenate([[0], np.cumsum(counts[which])]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(grams[keep], offsets, num_perm=WORDS, seed=_SEED)
    return which, np.array(matrix.to_rows(), dtype=np.uint32)


def _tables() -> tuple[Array, Array]:
    code = np.arange(256)
    is_word = (
        ((code >= 48) & (code < 58)) | ((code >= 65) & (code < 91)) | ((code >= 97) & (code < 123)) | (code >= 128)
    )
    lower = np.where((code >= 65) & (code < 91), code + 32, code)
    return is_word, mix((lower + 1).astype(np.uint64))


def _powers(length: int) -> tuple[Array, Array]:
    base = np.full(length, _MULTIPLIER, dtype=np.uint64)
    inverse = np.full(length, pow(_MULTIPLIER, -1, 2**64), dtype=np.uint64)
    base[:1] = inverse[:1] = 1
    return np.cumprod(base), np.cumprod(inverse)


def _five_grams(
    block: Array, ends: Array, powers: tuple[Array, Array]
) -> tuple[UInt64[Array, " grams"], Int64[Array, " documents_and_one"]]:
    """Hashes of all word five-grams of a block of documents, and where each document's begin."""
    is_word, value = _tables()
    inside = is_word[block]
    starts_here = inside.copy()
    starts_here[1:] &= ~inside[:-1]
    firsts = ends[:-1][ends[:-1] < len(block)]
    starts_here[firsts] = inside[firsts]  # a word never runs from one document into the next
    parts = [_words(block, inside, starts_here, value, powers, low, high) for low, high in _segments(inside)]
    starts = np.concatenate([found for found, _ in parts])
    words = np.concatenate([hashes for _, hashes in parts])
    if len(words) < GRAM:
        return np.zeros(0, dtype=np.uint64), np.zeros(len(ends) + 1, dtype=np.int64)
    owner = np.searchsorted(ends, starts, side="right")
    count = len(words) - GRAM + 1
    grams = np.zeros(count, dtype=np.uint64)
    for place in range(GRAM):
        grams = grams * np.uint64(_MULTIPLIER) + words[place : place + count]
    within = owner[:count] == owner[GRAM - 1 :]
    counts = np.bincount(owner[:count][within], minlength=len(ends))
    return mix(grams[within]), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _segments(inside: Array) -> Iterator[tuple[int, int]]:
    """A block in stretches of at most `_BLOCK` bytes that do not cut a word, unless one is longer than that."""
    low = 0
    while low < len(inside):
        high = min(low + _BLOCK, len(inside))
        if high < len(inside):
            between = np.flatnonzero(~inside[low:high])
            high = low + int(between[-1]) + 1 if len(between) else high
        yield low, high
        low = high


def _words(
    block: Array, inside: Array, starts_here: Array, value: Array, powers: tuple[Array, Array], low: int, high: int
) -> tuple[Int64[Array, " words"], UInt64[Array, " words"]]:
    """Where the words between `low` and `high` begin, and their hashes.

    A word's hash is a polynomial in its bytes: a stretch of a running sum, brought back to its place.
    """
    starts = np.flatnonzero(starts_here[low:high])
    if not len(starts):
        return starts, np.zeros(0, dtype=np.uint64)
    base, inverse = powers
    running = np.where(inside[low:high], value[block[low:high]], np.uint64(0)) * base[: high - low]
    sums = np.add.reduceat(running, starts)  # bytes between words are zero, so a word's sum may run up to the next
    return starts + low, mix(sums * inverse[starts])
