"""What can be told of a tune by rules: rates, of which those of the data say what is usual.

Chords are what sounds at the beginning of each quarter, the highest pitch first.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64

from daedal.codecs.tune import DRUMS, MODES, Tune
from daedal.codecs.voices import MOST_VOICES, Voices

Array = np.ndarray
_GRID = Voices(voices=MOST_VOICES)
_BAR = 4  # quarters that are compared
_WIDE = (0.005, 0.995)


class Heard(NamedTuple):
    """A tune, and its chords.

    Attributes:
        chords: pitches of each quarter.
    """

    tune: Tune
    chords: list[list[int]]

    @classmethod
    def of(cls, tune: Tune) -> "Heard":
        rows = _GRID.encode(tune).reshape(-1, MOST_VOICES)
        return cls(tune, [row[row < _GRID.silent].tolist() for row in rows])

    @property
    def moves(self) -> list[tuple[list[int], list[int]]]:
        """Chords of as many voices that follow each other, and are not the same."""
        return [(one, two) for one, two in pairwise(self.chords) if len(one) == len(two) > 1 and one != two]


class Ranges(NamedTuple):
    """Pitches between which nearly all of each voice lie, counted from the highest."""

    lowest: Float[Array, " voices"]
    highest: Float[Array, " voices"]

    @classmethod
    def of(cls, tunes: Sequence[Heard]) -> "Ranges":
        voices: list[list[int]] = [[] for _ in range(MOST_VOICES)]
        for heard in tunes:
            for chord in heard.chords:
                for voice, pitch in enumerate(chord):
                    voices[voice].append(pitch)
        ends = [np.quantile(pitches, _WIDE) if pitches else np.array([128.0, -1.0]) for pitches in voices]
        return cls(*np.array(ends).T)

    def __call__(self, heard: Heard) -> float | None:
        """The share of a tune's pitches that lie in them."""
        inside = [
            self.lowest[voice] <= pitch <= self.highest[voice]
            for chord in heard.chords
            for voice, pitch in enumerate(chord)
        ]
        return float(np.mean(inside)) if inside else None


def in_key(heard: Heard) -> float | None:
    """The share of the time of all notes whose pitch is of the major scale, or its relative minor's, that holds most of it."""
    weights = np.zeros(12)
    for note in heard.tune.notes:
        if note.program != DRUMS:
            weights[note.pitch % 12] += note.duration
    if not weights.sum():
        return None
    scale = np.zeros(12)
    scale[list(MODES[""])] = 1
    return float(max(np.roll(scale, key) @ weights for key in range(12)) / weights.sum())


def crossings(heard: Heard) -> float | None:
    """The share of moves in which a voice goes beyond where its neighbour was before."""
    return _share(
        [any(b > a for a, b in zip(one, two[1:], strict=False)) or any(b < a for a, b in zip(one[1:], two, strict=False))
         for one, two in heard.moves]
    )  # fmt: skip


def parallels(interval: int) -> Callable[[Heard], float | None]:
    """The share of moves in which two voices go the same way from one such interval to another, octaves apart or not."""

    def parallel(one: list[int], two: list[int]) -> bool:
        return any(
            (one[a] - one[b]) % 12 == interval == (two[a] - two[b]) % 12
            and one[a] > one[b]
            and (two[a] - one[a]) * (two[b] - one[b]) > 0
            for a in range(len(one))
            for b in range(a + 1, len(one))
        )

    return lambda heard: _share([parallel(one, two) for one, two in heard.moves])


def filled(heard: Heard) -> float | None:
    """The share of quarters in which something sounds."""
    return _share([bool(chord) for chord in heard.chords])


def repeated(heard: Heard) -> float | None:
    """The share of runs of four chords that stood in the tune before."""
    runs = [tuple(map(tuple, heard.chords[at : at + _BAR])) for at in range(len(heard.chords) - _BAR + 1)]
    seen: set[tuple[tuple[int, ...], ...]] = set()
    hits = []
    for run in runs:
        hits.append(run in seen)
        seen.add(run)
    return _share(hits)


def density(heard: Heard) -> float | None:
    """Notes that begin in a quarter."""
    return len(heard.tune.notes) / max(1.0, heard.tune.end / heard.tune.ticks)


def _share(hits: Sequence[bool]) -> float | None:
    return float(np.mean(hits)) if len(hits) else None


RULES: dict[str, tuple[str, Callable[[Heard], float | None]]] = {
    "in-key": ("time in one key", in_key),
    "voice-crossing": ("moves with crossing voices", crossings),
    "parallel-fifths": ("moves with parallel fifths", parallels(7)),
    "parallel-octaves": ("moves with parallel octaves", parallels(0)),
    "bar-fill": ("quarters that sound", filled),
    "repetition": ("four chords heard before", repeated),
    "note-density": ("notes a quarter", density),
}
"""By quantity: what a person calls it, and the rule."""


def longest_runs(tunes: Sequence[Sequence[str]], corpus: Sequence[Sequence[str]]) -> Int64[Array, " tunes"]:
    """How many words the longest run of each tune has that stands in one tune of a corpus. Runs are told by hashes of 64 bits,
    and by nothing else."""
    numbers: dict[str, int] = {}
    theirs = _Hashed([[numbers.setdefault(word, len(numbers) + 1) for word in words] for words in corpus])
    ours = [[numbers.get(word, -1 - place) for place, word in enumerate(words)] for words in tunes]
    found = np.zeros(len(ours), dtype=np.int64)
    for number, words in enumerate(ours):
        low, high, mine = 0, len(words), _Hashed([words])
        while low < high:
            middle = (low + high + 1) // 2
            if np.isin(mine.runs(middle), theirs.runs(middle)).any():
                low = middle
            else:
                high = middle - 1
        found[number] = low
    return found


class _Hashed:
    """Texts of numbers, of which every run of one length can be hashed at once."""

    _BASE = 0x9E3779B97F4A7C15

    def __init__(self, texts: Sequence[Sequence[int]]) -> None:
        flat = np.array([number for text in texts for number in text], dtype=np.int64).astype(np.uint64)
        self._text = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
        power = np.full(len(flat) + 1, self._BASE, dtype=np.uint64)
        power[0] = 1
        power = np.cumprod(power)
        mixed = (flat ^ (flat >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(27)
        self._sums = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(mixed * power[:-1])))
        inverse = np.full(len(flat) + 1, pow(self._BASE, -1, 2**64), dtype=np.uint64)
        inverse[0] = 1
        self._inverse = np.cumprod(inverse)
        self._known: dict[int, Array] = {}

    def runs(self, length: int) -> Array:
        """Of every run of so many numbers that lies in one text."""
        if length not in self._known:
            count = len(self._text) - length + 1
            if count < 1:
                return np.zeros(0, dtype=np.uint64)
            hashes = (self._sums[length:] - self._sums[:count]) * self._inverse[:count]
            self._known[length] = np.unique(hashes[self._text[:count] == self._text[length - 1 :]])
        return self._known[length]
