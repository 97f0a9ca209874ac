"""Tunes as a grid of voices: at each step the pitches that sound, the highest first, each in a slot. For chorales and whatever
else is sung or played in step.

A code is a pitch, counted from the lowest, or `silent` for a slot that is left over. A pitch that there is none of is moved by
octaves to one that there is. A grid does not tell a note that is held from one that is struck
again: decoded, a pitch that goes on is one note within a quarter and struck again with the next.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64
from pydantic import Field

from daedal.codecs.tune import DRUMS, USUAL_TEMPO, Note, Tune, within
from daedal.config import Config

Array = np.ndarray
TICKS = 480
ORGAN = 19
"""The program of tunes that do not say one: chords that are held need an instrument that holds them."""
UNHURRIED = 750_000
"""Microseconds of a quarter of such tunes."""
MOST_VOICES = 8


class Voices(Config):
    """A grid.

    Attributes:
        steps: of a quarter note.
        voices: slots of a step.
        lowest, highest: pitches of what it was learned from.
        program, velocity, tempo: with which its tunes are played.
    """

    layout: Literal["voices"] = "voices"
    steps: Literal[1, 2, 4] = 1
    voices: int = Field(default=4, ge=1, le=MOST_VOICES)
    lowest: int = Field(default=0, ge=0, le=127)
    highest: int = Field(default=127, ge=0, le=127)
    program: int = Field(default=ORGAN, ge=0, le=127)
    velocity: int = Field(default=80, ge=1, le=127)
    tempo: int = Field(default=UNHURRIED, ge=1)

    @property
    def size(self) -> int:
        """How many codes there are."""
        return self.silent + 1

    @property
    def silent(self) -> int:
        """The code of a slot that is left over."""
        return self.highest - self.lowest + 1

    @property
    def described(self) -> str:
        steps = "a step" if self.steps == 1 else f"{self.steps} steps"
        return f"a grid of {self.voices} voices, {steps} a quarter"

    def encode(self, tune: Tune) -> Int64[Array, " codes"]:
        """The codes of a tune: of each step what sounds at its beginning, but for drums. Where that is more than there are
        voices, the highest and the lowest stay."""
        chords: list[set[int]] = [set() for _ in range(-(-tune.end * self.steps // tune.ticks))]
        for note in tune.notes:
            for step in self._sounding(tune, note):
                chords[step].add(within(note.pitch, self.lowest, self.highest))
        return self.of_chords([sorted(chord, reverse=True) for chord in chords])

    def _sounding(self, tune: Tune, note: Note) -> range:
        """The steps at whose beginning a note sounds."""
        first, last = (-(-tick * self.steps // tune.ticks) for tick in (note.start, note.end))
        return range(first, first if note.program == DRUMS else last)

    def lost(self, tune: Tune) -> int:
        """How many notes of a tune have no place on the grid: those that no step begins in, that are too many, and drums."""
        rows = self.encode(tune).reshape(-1, self.voices)
        found = 0
        for note in tune.notes:
            steps, code = self._sounding(tune, note), within(note.pitch, self.lowest, self.highest) - self.lowest
            found += not steps or code not in rows[steps[0]]
        return found

    def of_chords(self, chords: Sequence[Sequence[int]]) -> Int64[Array, " codes"]:
        """The codes of pitches of each step, the highest first."""
        codes = np.full((len(chords), self.voices), self.silent, dtype=np.int64)
        for row, chord in zip(codes, chords, strict=True):
            kept = chord if len(chord) <= self.voices else [*chord[: self.voices - 1], chord[-1]]
            row[: len(kept)] = np.array(kept, dtype=np.int64) - self.lowest
        return codes.ravel()

    def decode(self, codes: Int64[Array, " codes"]) -> Tune | None:
        """The tune of codes; None where nothing sounds in it. What makes no step is passed over."""
        steps = np.asarray(codes)[: len(codes) // self.voices * self.voices].reshape(-1, self.voices)
        return tune_of_chords([(row[row < self.silent] + self.lowest).tolist() for row in steps], self)

    def cuts(self, codes: Int64[Array, " codes"]) -> Int64[Array, " places"]:
        """Where a window may begin."""
        return np.arange(0, len(codes), self.voices)

    @property
    def unjudged(self) -> int:
        """Codes at the beginning of a window inside of a tune that nobody could foretell: two steps."""
        return 2 * self.voices

    @property
    def first_pitch(self) -> int:
        """The code of pitch 0, were there one; the others follow."""
        return -self.lowest

    def pitched(self, codes: Int64[Array, " codes"]) -> Bool[Array, " codes"]:
        """Which codes are pitches."""
        return np.asarray(codes < self.silent)

    def hastened(self, codes: Int64[Array, " codes"], steps: int) -> Int64[Array, " codes"]:
        """The same: a grid knows no tempo."""
        return codes


def tune_of_chords(chords: Sequence[Sequence[int]], grid: Voices) -> Tune | None:
    """The tune of the pitches of each step; None where there are none."""
    step = TICKS // grid.steps
    notes: list[Note] = []
    sounding: dict[int, int] = {}
    for number, chord in enumerate((*chords, ())):
        beat = number % grid.steps == 0
        for pitch in [pitch for pitch in sounding if beat or pitch not in chord]:
            start = sounding.pop(pitch)
            notes.append(Note(start, number * step - start, pitch, grid.velocity, grid.program))
        for pitch in chord:
            sounding.setdefault(pitch, number * step)
    if not notes:
        return None
    tempos = () if grid.tempo == USUAL_TEMPO else ((0, grid.tempo),)
    return Tune.of(TICKS, notes, tempos=tempos)


def fitting(tune: Tune) -> Voices | None:
    """The coarsest grid that keeps all of a tune; None where there is none."""
    first = tune.notes[0]
    alike = all(note.velocity == first.velocity and note.program == first.program for note in tune.notes)
    steady = len(tune.tempos) <= 1 and not (tune.tempos and tune.tempos[0][0]) and first.program < DRUMS
    if not alike or not steady or tune.metres:
        return None
    tempo = tune.tempos[0][1] if tune.tempos else USUAL_TEMPO
    steps: Literal[1, 2, 4]
    for steps in (1, 2, 4):
        grid = Voices(steps=steps, voices=MOST_VOICES, program=first.program, velocity=first.velocity, tempo=tempo)
        made = grid.decode(grid.encode(tune))
        if made is not None and _times(made) == _times(tune):
            return grid
    return None


def _times(tune: Tune) -> list[tuple[float, float, int]]:
    """Starts and durations in quarters, and pitches."""
    return [(note.start / tune.ticks, note.duration / tune.ticks, note.pitch) for note in tune.notes]
