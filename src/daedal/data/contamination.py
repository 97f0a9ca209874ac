"""Contamination: which texts of a test split stand in training text, so that a score without them can be shown.

A text counts where 13 of its words stand in the same order somewhere in the training text (Brown et al., "Language Models are
Few-Shot Learners", 2020, appendix C). One of 8 to 12 words counts where all of it does, and a shorter one where it is a whole
text of the training split: a few words stand anywhere. Words are runs of letters and digits, in lower case.

Words and runs of them are compared by hashes of 64 bits, computed of megabytes at a time with numpy: a word's is a
polynomial in its characters, a stretch of a running sum that is brought back to its place, as in `sketch`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from daedal.data.windows import mix

Array = np.ndarray
GRAM = 13
SHORTEST = 8  # words of a text that is looked for inside of others
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(int(_FACTOR), -1, 2**64))
_CHARACTERS = 2**18
"""That are hashed at once: what a core's cache holds."""
_TOGETHER = 2**20
"""Characters of texts that are looked for together."""
_FILTER_BITS = 18


class _Words(NamedTuple):
    """Words of texts, end to end.

    Attributes:
        hashes: of each word.
        text: the number of the text that it stands in.
        sizes: how many words each text has.
    """

    hashes: UInt64[Array, " words"]
    text: Int64[Array, " words"]
    sizes: Int64[Array, " texts"]

    def grams(self, length: int) -> tuple[UInt64[Array, " grams"], Int64[Array, " grams"]]:
        """A hash of each `length` words in a row within a text, and where each begins."""
        count = max(0, len(self.hashes) - length + 1)
        inside = np.flatnonzero(self.text[:count] == self.text[length - 1 :]) if count else np.zeros(0, dtype=np.int64)
        return self._joined(length, inside), inside

    def whole(self, length: int) -> tuple[UInt64[Array, " texts"], Int64[Array, " texts"]]:
        """A hash of each text of `length` words, and its number."""
        texts = np.flatnonzero(self.sizes == length)
        begins = np.cumsum(self.sizes) - self.sizes
        return self._joined(length, begins[texts]), texts

    def _joined(self, length: int, places: Int64[Array, " places"]) -> UInt64[Array, " places"]:
        """The hash of the words from each place on. Where they are nearly all, all are computed: what is in a row is fast."""
        every = len(places) > len(self.hashes) // 2
        hashes = np.zeros(len(self.hashes) - length + 1 if every else len(places), dtype=np.uint64)
        for place in range(length):
            hashes *= _FACTOR
            hashes += self.hashes[place : place + len(hashes)] if every else self.hashes[places + place]
        return hashes[places] if every and len(places) < len(hashes) else hashes


class _Wanted:
    """Hashes of the test texts, and whose each is. A table of their leading bits rules out nearly all others in one look."""

    def __init__(self, hashes: UInt64[Array, " grams"], owners: Int64[Array, " grams"]) -> None:
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.owners = hashes[order], owners[order]
        self._listed = np.zeros(2**_FILTER_BITS, dtype=bool)
        self._listed[self._head(self.hashes)] = True

    def found(self, hashes: UInt64[Array, " grams"]) -> Int64[Array, " owners"]:
        """The owners of those that are among these."""
        likely = hashes[self._listed[self._head(hashes)]]
        here = np.unique(likely)
        first, last = (np.searchsorted(self.hashes, here, side) for side in ("left", "right"))
        hit = np.flatnonzero(first < last)
        owners = [self.owners[begin:end] for begin, end in zip(first[hit].tolist(), last[hit].tolist(), strict=True)]
        return np.concatenate(owners) if owners else np.zeros(0, dtype=np.int64)

    def _head(self, hashes: UInt64[Array, " grams"]) -> Int64[Array, " grams"]:
        return (hashes >> np.uint64(64 - _FILTER_BITS)).astype(np.int64)


def contaminated(train: Iterable[str], test: Sequence[str], gram: int = GRAM) -> Bool[Array, " test"]:
    """Which of the test texts stand in the training texts.

    Args:
        train: read once, one after the other.
        test: of whose words a table is held.
        gram: words in a row that must be the same.
    """
    found = np.zeros(len(test), dtype=bool)
    words = _words(list(test))
    inside: dict[int, _Wanted] = {}
    whole: dict[int, _Wanted] = {}
    least = min(SHORTEST, gram)
    for length in np.unique(words.sizes[words.sizes > 0]).tolist():
        if length < least:
            whole[length] = _Wanted(*words.whole(length))
        elif length < gram:
            inside[length] = _Wanted(*words.whole(length))
    hashes, places = words.grams(gram)
    if len(hashes):
        inside[gram] = _Wanted(hashes, words.text[places])
    for texts in _together(train):
        read = _words(texts)
        for length, wanted in whole.items():
            found[wanted.found(read.whole(length)[0])] = True
        for length, wanted in inside.items():
            found[wanted.found(read.grams(length)[0])] = True
    return found


def _together(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts, as many at once as are worth it."""
    held, size = list[str](), 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= _TOGETHER:
            yield held
            held, size = [], 0
    if held:
        yield held


def _words(texts: list[str]) -> _Words:
    lowered = [text.lower() for text in texts]
    joined = "\n".join([*lowered, ""])
    codes: Array
    if joined.isascii():
        codes = np.frombuffer(joined.encode("ascii"), dtype=np.uint8)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    inside = _letters(128 if codes.dtype == np.uint8 else 0x110000)[codes]
    begins = inside.copy()
    begins[1:] &= ~inside[:-1]
    starts = np.flatnonzero(begins)
    hashes = _hashed(codes, inside, begins, starts)
    ends = np.cumsum([len(text) + 1 for text in lowered])
    owner = np.searchsorted(ends, starts, side="right")
    return _Words(mix(hashes), owner, np.bincount(owner, minlength=len(texts)))


def _hashed(
    codes: Int64[Array, " characters"],
    inside: Bool[Array, " characters"],
    begins: Bool[Array, " characters"],
    starts: Int64[Array, " words"],
) -> UInt64[Array, " words"]:
    """The polynomials of words, a stretch of characters at a time, which cuts no word but one that is longer than it."""
    hashes = np.empty(len(starts), dtype=np.uint64)
    base, inverse = _powers()
    done = 0
    while done < len(starts):
        low = int(starts[done])
        high = min(low + _CHARACTERS, len(codes))
        last = int(np.searchsorted(starts, high, side="left"))
        if high < len(codes) and inside[high] and not begins[high]:
            last -= 1
            high = int(starts[last])
        if last == done:
            hashes[done] = _long(codes, inside, low)
            done += 1
            continue
        some = starts[done:last] - low
        running = np.where(inside[low:high], _values(codes[low:high]), np.uint64(0)) * base[: high - low]
        hashes[done:last] = np.add.reduceat(running, some) * inverse[some]
        done = last
    return hashes


def _long(codes: Int64[Array, " characters"], inside: Bool[Array, " characters"], start: int) -> int:
    """The polynomial of a word that is longer than a stretch."""
    base, _ = _powers()
    total, scale = 0, 1
    for low in range(start, len(codes), _CHARACTERS):
        here = inside[low : low + _CHARACTERS]
        length = len(here) if here.all() else int(here.argmin())
        total += int((_values(codes[low : low + length]) * base[:length]).sum()) * scale
        scale = scale * pow(int(_FACTOR), _CHARACTERS, 2**64) % 2**64
        if length < len(here):
            break
    return total % 2**64


def _values(codes: Int64[Array, " characters"]) -> UInt64[Array, " characters"]:
    """The value of each character in the polynomial."""
    if codes.dtype == np.uint8:
        found: Array = _ascii_values()[codes]
        return found
    return mix(codes.astype(np.uint64) + np.uint64(1))


@cache
def _letters(count: int) -> Bool[Array, " characters"]:
    """Which of the first characters are of words: letters and digits of any script."""
    every = "".join(map(chr, range(count)))
    found = np.zeros(len(every), dtype=bool)
    for run in re.finditer(r"[^\W_]+", every):
        found[run.start() : run.end()] = True
    return found


@cache
def _ascii_values() -> UInt64[Array, "256"]:
    return mix(np.arange(1, 257, dtype=np.uint64))


@cache
def _powers() -> tuple[UInt64[Array, " length"], UInt64[Array, " length"]]:
    """Powers of the base of the polynomials, and of its inverse."""
    base, inverse = np.full(_CHARACTERS, _FACTOR), np.full(_CHARACTERS, _INVERSE)
    base[:1] = inverse[:1] = 1
    return np.cumprod(base), np.cumprod(inverse)
