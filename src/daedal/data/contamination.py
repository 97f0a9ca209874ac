"""Contamination: which texts of a test split stand in training text, so that a score without them can be shown.

A text counts where 13 of its words stand in the same order somewhere in the training text (Brown et al., "Language Models are
Few-Shot Learners", 2020, appendix C). One of 8 to 12 words counts where all of it does, and a shorter one where it is a whole
text of the training split: a few words stand anywhere. Words are runs of letters and digits, in lower case.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from daedal.data.windows import mix

Array = np.ndarray
GRAM = 13
SHORTEST = 8  # words of a text that is looked for inside of others
_WORD = re.compile(r"[^\W_]+")
_UNKNOWN, _BORDER = -1, -2  # a word that no test text has; between two texts
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_AT_ONCE = 2**18  # words


def contaminated(train: Iterable[str], test: Sequence[str], gram: int = GRAM) -> Bool[Array, " test"]:
    """Which of the test texts stand in the training texts.

    Args:
        train: read once, one after the other.
        test: of whose words a table is held.
        gram: words in a row that must be the same.
    """
    numbers: dict[str, int] = {}
    texts = [
        np.array([numbers.setdefault(word, len(numbers)) for word in _words(text)], dtype=np.int64) for text in test
    ]
    found = np.zeros(len(texts), dtype=bool)
    wanted: dict[int, tuple[UInt64[Array, " grams"], Int64[Array, " grams"]]] = {}
    whole: dict[bytes, list[int]] = {}
    lengths: dict[int, list[int]] = {}
    for place, words in enumerate(texts):
        if len(words) >= min(SHORTEST, gram):
            lengths.setdefault(min(gram, len(words)), []).append(place)
        elif len(words):
            whole.setdefault(words.tobytes(), []).append(place)
    for length, places in lengths.items():
        grams = [_grams(texts[place], length) for place in places]
        owners = np.repeat(places, [len(each) for each in grams])
        hashes = np.concatenate(grams)
        order = np.argsort(hashes, kind="stable")
        wanted[length] = hashes[order], owners[order]
    for words in _together(train, numbers):
        for place in (
            place for text in _texts(words) if len(text) < SHORTEST for place in whole.get(text.tobytes(), ())
        ):
            found[place] = True
        for length, (hashes, owners) in wanted.items():
            here = np.unique(_grams(words, length)[_known(words, length)])
            first, last = np.searchsorted(hashes, here, "left"), np.searchsorted(hashes, here, "right")
            for begin, end in zip(first[first < last].tolist(), last[first < last].tolist(), strict=True):
                found[owners[begin:end]] = True
    return found


def _together(train: Iterable[str], numbers: Mapping[str, int]) -> Iterator[Int64[Array, " words"]]:
    """The words of training texts as numbers, many texts at once, each with a border before it and the last with one behind."""
    held: list[int] = [_BORDER]
    for text in train:
        held += [numbers.get(word, _UNKNOWN) for word in _words(text)]
        held.append(_BORDER)
        if len(held) > _AT_ONCE:
            yield np.array(held, dtype=np.int64)
            held = [_BORDER]
    yield np.array(held, dtype=np.int64)


def _texts(words: Int64[Array, " words"]) -> list[Int64[Array, " text"]]:
    """The texts between borders."""
    borders = np.flatnonzero(words == _BORDER)
    return [words[begin + 1 : end] for begin, end in pairwise(borders.tolist())]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: Int64[Array, " words"], length: int) -> UInt64[Array, " grams"]:
    """A hash of each `length` words in a row."""
    count = max(0, len(words) - length + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    keyed = mix(words.astype(np.uint64))
    for place in range(length):
        hashes = hashes * _FACTOR + keyed[place : place + count]
    return hashes


def _known(words: Int64[Array, " words"], length: int) -> Bool[Array, " grams"]:
    """Which grams have no unknown word and no border: the others are in no test text."""
    unknown = np.concatenate([[0], np.cumsum(words < 0)])
    count = max(0, len(words) - length + 1)
    return np.asarray(unknown[length : length + count] == unknown[:count])
