"""Tunes as events, one after the other (REMI: Huang and Yang 2020, "Pop Music Transformer", arXiv:2002.00212): for any MIDI.

    bar [metre] position [tempo] [program] pitch [velocity] duration pitch duration ... position ... bar ...

- positions and durations are in twelfths of a quarter: sixteenths and triplets fall on them
- metre, tempo, program and velocity are said where they change, and hold until they change again
- what was decoded and is encoded again gives the same codes; `error` tells what the grid costs a tune
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64
from pydantic import Field, PositiveInt, model_validator

from daedal.codecs.tune import DRUMS, PROGRAMS, USUAL_TEMPO, Metre, Note, Tune, within
from daedal.config import Config

Array = np.ndarray
GRID = 12
"""Positions of a quarter."""
_POSITIONS = 96  # of the longest bar: eight quarters
_DURATIONS = (*range(1, 25), *range(26, 49, 2), *range(54, 97, 6), *range(108, 193, 12))
_VELOCITIES = 16
_TEMPOS = tuple(
    round(60e6 / (24 * 1.08**step)) for step in range(31, -1, -1)
)  # microseconds; 261 quarters a minute to 24
_USUAL_METRES = ((4, 4), (3, 4), (2, 4), (6, 8), (2, 2), (3, 8), (9, 8), (12, 8), (5, 4), (3, 2))
_Program = Annotated[int, Field(ge=0, lt=PROGRAMS)]
_Pitch = Annotated[int, Field(ge=0, le=127)]


class Event(NamedTuple):
    """What a code stands for."""

    kind: Literal["bar", "metre", "position", "tempo", "program", "pitch", "velocity", "duration"]
    value: int = 0


class Error(NamedTuple):
    """What a grid costs tunes.

    Attributes:
        quarters: by which starts of notes are moved on average.
        lost: notes that fall together with others.
        notes: of all.
    """

    quarters: float
    lost: int
    notes: int


class Events(Config):
    """A vocabulary of events.

    Attributes:
        metres: beats, and the part of a whole note that is one.
        programs: those that there are.
        pitches: the lowest and the highest that there are; others are moved by octaves.
        lowest, highest: the same of what is no drum.
    """

    layout: Literal["events"] = "events"
    metres: tuple[tuple[PositiveInt, PositiveInt], ...] = Field(default=_USUAL_METRES, min_length=1, max_length=1000)
    programs: tuple[_Program, ...] = Field(default=(0,), min_length=1, max_length=PROGRAMS)
    pitches: tuple[_Pitch, _Pitch] = (0, 127)
    lowest: int = Field(default=0, ge=0, le=127)
    highest: int = Field(default=127, ge=0, le=127)

    @model_validator(mode="after")
    def _ordered(self) -> "Events":
        if self.pitches[0] > self.pitches[1] or any(_length(*metre) is None for metre in self.metres):
            raise ValueError("pitches must be in order, and bars of at most eight quarters")
        return self

    @classmethod
    def fit(cls, tunes: Iterable[Tune]) -> "Events":
        """What there is in tunes."""
        metres, programs, pitches, drums = dict.fromkeys(_USUAL_METRES), set[int](), set[int](), set[int]()
        for tune in tunes:
            metres |= dict.fromkeys(each[1:] for each in tune.metres if _length(*each[1:]) is not None)
            programs |= set(tune.programs)
            for note in tune.notes:
                (drums if note.program == DRUMS else pitches).add(note.pitch)
        every = pitches | drums
        return cls(
            metres=tuple(metres), programs=tuple(sorted(programs)) or (0,),
            pitches=(min(every, default=0), max(every, default=127)),
            lowest=min(pitches, default=0), highest=max(pitches, default=127),
        )  # fmt: skip

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """What the codes stand for."""
        return (
            Event("bar"),
            *(Event("metre", each) for each in range(len(self.metres))),
            *(Event("position", each) for each in range(_POSITIONS)),
            *(Event("tempo", each) for each in _TEMPOS),
            *(Event("program", each) for each in self.programs),
            *(Event("pitch", each) for each in range(self.pitches[0], self.pitches[1] + 1)),
            *(Event("velocity", each) for each in range(_VELOCITIES)),
            *(Event("duration", each) for each in _DURATIONS),
        )

    @cached_property
    def _codes(self) -> dict[Event, int]:
        return {event: code for code, event in enumerate(self.events)}

    def code(self, event: Event) -> int:
        """The code of an event."""
        return self._codes[event]

    @property
    def size(self) -> int:
        return len(self.events)

    @property
    def described(self) -> str:
        return f"events, {GRID} positions a quarter"

    # -- tunes to codes ------------------------------------------------------------------------------------------------

    def encode(self, tune: Tune) -> Int64[Array, " codes"]:
        """The codes of a tune."""
        return np.array([self._codes[event] for event in self._events_of(tune)], dtype=np.int64)

    def _events_of(self, tune: Tune) -> Iterator[Event]:
        notes, _ = self._on_grid(tune)
        end = notes[-1].start
        tempos = [(_on_grid(tick, tune.ticks), _nearest(tempo, _TEMPOS)) for tick, tempo in tune.tempos]
        tempos = [(0, _nearest(USUAL_TEMPO, _TEMPOS)), *(each for each in tempos if each[0] <= end)]
        metres = iter([(_on_grid(tick, tune.ticks), self._metre(beats, unit)) for tick, beats, unit in tune.metres])
        timed: dict[int, list[Note]] = {}
        changes: dict[int, int] = {}
        for note in notes:
            timed.setdefault(note.start, []).append(note)
        last = 0
        for tick, tempo in dict(tempos).items():
            if tempo != last:
                changes[tick] = last = tempo
        begin, metre, said, following = 0, 0, -1, next(metres, None)
        program = velocity = -1
        while begin <= end:
            while following is not None and following[0] <= begin:
                metre, following = following[1], next(metres, None)
            yield Event("bar")
            if metre != said:
                yield Event("metre", metre)
                said = metre
            length = _length(*self.metres[metre]) or _POSITIONS
            inside = range(begin, begin + length)
            for place in sorted({each for table in (timed, changes) for each in _between(table, inside)}):
                yield Event("position", place - begin)
                if place in changes:
                    yield Event("tempo", changes[place])
                for note in timed.get(place, ()):
                    if note.program != program:
                        program = note.program
                        yield Event("program", program)
                    yield Event("pitch", note.pitch)
                    if note.velocity != velocity:
                        velocity = note.velocity
                        yield Event("velocity", velocity)
                    yield Event("duration", note.duration)
            begin += length

    def _on_grid(self, tune: Tune) -> tuple[list[Note], int]:
        """Notes with their starts and durations on the grid, their velocities in steps; and how many fell together."""
        kept: dict[tuple[int, int, int], Note] = {}
        for start, duration, struck, velocity, program in tune.notes:
            place, pitch = _on_grid(start, tune.ticks), within(struck, *self.pitches)
            known = program if program in self.programs else self._like(program)
            note = Note(place, max(1, _on_grid(duration, tune.ticks)), pitch, velocity * _VELOCITIES // 128, known)
            before = kept.get((place, known, pitch))
            kept[place, known, pitch] = note if before is None or before.duration < note.duration else before
        following: dict[tuple[int, int], int] = {}
        notes = []
        for at in sorted(kept, reverse=True):
            note = kept[at]
            room = following.get((note.program, note.pitch), note.start + _DURATIONS[-1]) - note.start
            following[note.program, note.pitch] = note.start
            notes.append(note._replace(duration=_nearest(note.duration, _DURATIONS, room)))
        return notes[::-1], len(tune.notes) - len(notes)

    def _like(self, program: int) -> int:
        """The program nearest to one that is not known: of drums, drums."""
        return min(self.programs, key=lambda known: ((known == DRUMS) != (program == DRUMS), abs(known - program)))

    def _metre(self, beats: int, unit: int) -> int:
        """The place of a metre; of one that is not known, of the first of about its length."""
        if (beats, unit) in self.metres:
            return self.metres.index((beats, unit))
        return min(range(len(self.metres)), key=lambda each: abs(_whole(*self.metres[each]) - _whole(beats, unit)))

    def error(self, tune: Tune) -> Error:
        """What the grid costs a tune."""
        starts = np.array([note.start for note in tune.notes], dtype=np.float64) / tune.ticks
        return Error(float(np.abs(np.rint(starts * GRID) / GRID - starts).mean()), self._on_grid(tune)[1], len(starts))

    # -- codes to tunes ------------------------------------------------------------------------------------------------

    def decode(self, codes: Int64[Array, " codes"]) -> Tune | None:
        """The tune of codes; None where no note sounds in it. What makes no sense where it stands is passed over."""
        notes: list[Note] = []
        tempos: list[tuple[int, int]] = []
        metres: list[Metre] = []
        begin, length, place = 0, 0, 0
        program, velocity, pitch = self.programs[0], _VELOCITIES // 2, -1
        for code in codes.tolist():
            if not 0 <= code < self.size:
                continue
            kind, value = self.events[code]
            match kind:
                case "bar":
                    begin, place = begin + length, begin + length
                    length = length or _length(*self.metres[0]) or _POSITIONS
                case "metre":
                    length = _length(*self.metres[value]) or _POSITIONS
                    metres.append(Metre(begin, *self.metres[value]))
                case "position":
                    place = begin + value
                case "tempo":
                    tempos.append((place, value))
                case "program":
                    program = value
                case "pitch":
                    pitch = value
                case "velocity":
                    velocity = value
                case "duration" if pitch >= 0:
                    loud = velocity * 128 // _VELOCITIES + 64 // _VELOCITIES
                    notes.append(Note(place, value, pitch, loud, program))
                    pitch = -1
        return Tune.of(GRID, notes, tempos=tuple(tempos), metres=tuple(metres)) if notes else None

    # -- for windows ---------------------------------------------------------------------------------------------------

    @cached_property
    def _kinds(self) -> Array:
        return np.array([event.kind for event in self.events])

    def cuts(self, codes: Int64[Array, " codes"]) -> Int64[Array, " places"]:
        """Where a window may begin: at a bar, or a position of one."""
        found: Array = np.flatnonzero(np.isin(self._kinds[codes], ("bar", "position")))
        return found

    @property
    def unjudged(self) -> int:
        """Codes at the beginning of a window inside of a tune that nobody could foretell."""
        return GRID

    @property
    def first_pitch(self) -> int:
        """The code of pitch 0, were there one; the others follow."""
        return self._codes[Event("pitch", self.pitches[0])] - self.pitches[0]

    def pitched(self, codes: Int64[Array, " codes"]) -> Bool[Array, " codes"]:
        """Which codes of a whole tune are pitches that may be moved: those of drums may not."""
        kinds = self._kinds[codes]
        drums = self._codes.get(Event("program", DRUMS), -1)
        told = np.maximum.accumulate(np.where(kinds == "program", np.arange(len(codes)), 0))
        return np.asarray((kinds == "pitch") & (codes[told] != drums))

    def hastened(self, codes: Int64[Array, " codes"], steps: int) -> Int64[Array, " codes"]:
        """The same, so many of the 32 tempos faster."""
        first = self._codes[Event("tempo", _TEMPOS[0])]
        return np.where(self._kinds[codes] == "tempo", np.clip(codes - steps, first, first + len(_TEMPOS) - 1), codes)


def _on_grid(tick: int, ticks: int) -> int:
    return (2 * tick * GRID + ticks) // (2 * ticks)


def _nearest(value: int, known: tuple[int, ...], most: int | None = None) -> int:
    """The nearest of known values in order, which may be at most so large."""
    end = len(known) if most is None else bisect_right(known, most)
    at = bisect_left(known, value, 0, end)
    return min(known[max(0, at - 1) : min(at + 1, end)], key=lambda each: abs(each - value))


def _whole(beats: int, unit: int) -> float:
    return beats / unit


def _length(beats: int, unit: int) -> int | None:
    """Positions of a bar; None where it has no whole number of them, or too many."""
    length, rest = divmod(beats * 4 * GRID, unit)
    return length if not rest and 0 < length <= _POSITIONS else None


def _between(table: Mapping[int, object], places: range) -> Iterator[int]:
    return (place for place in places if place in table)
