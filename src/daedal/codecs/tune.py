"""A tune: notes in time, with what is said of their tempo, metre and key. What MIDI files and grids of chords are read to."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, Self

from daedal.errors import DaedalError

DRUMS = 128
"""The program of notes that are drums, whose pitch says which; 0 to 127 are General MIDI's."""
PROGRAMS = 129
USUAL_TEMPO = 500_000
"""Microseconds of a quarter where nothing is said: 120 quarters a minute."""
MOST_NOTES = 100_000
LONGEST = 100_000
"""Quarters of a tune."""
_LAST = 2**31


class Note(NamedTuple):
    """A note; times are in ticks. Notes are in order of their start, then of their program and pitch.

    Attributes:
        pitch: 60 is the middle C, 61 a semitone higher.
        velocity: how hard it is struck, 1 to 127.
        program: the instrument as General MIDI numbers them from 0 on, or `DRUMS`.
    """

    start: int
    duration: int
    pitch: int
    velocity: int = 80
    program: int = 0

    @property
    def end(self) -> int:
        return self.start + self.duration


class Metre(NamedTuple):
    """From a tick on a bar has so many of the parts that a whole note is divided into."""

    tick: int
    beats: int = 4
    unit: int = 4


@dataclass(frozen=True)
class Tune:
    """Notes, and what they are played by.

    Attributes:
        ticks: of a quarter note.
        notes: in their order.
        tempos: ticks, and the microseconds that a quarter takes from there on.
        metres: by their tick.
        key: as MIDI names them: `C`, `F#`, `Bbm`; empty where it is not said.
        style: what kind of tune it is, as the folder of its file says; empty where nothing does.
        title: what a file calls it; it is no part of what makes two tunes the same.
    """

    ticks: int
    notes: tuple[Note, ...]
    tempos: tuple[tuple[int, int], ...] = ()
    metres: tuple[Metre, ...] = ()
    key: str = ""
    style: str = ""
    title: str = ""

    @classmethod
    def of(cls, ticks: int, notes: Iterable[Note], **said: Any) -> Self:
        """A tune of notes in any order. Of notes of one pitch and program that start together the longest stays, and a note
        ends where its pitch is struck again: so much MIDI can say.

        Raises:
            DaedalError: it has none, or one is none.
        """
        if not 1 <= ticks < 2**15:
            raise DaedalError(f"A quarter note of {ticks} ticks cannot be", "Give 1 to 32,767 of them")
        kept: dict[tuple[int, int, int], Note] = {}
        for note in notes:
            start, duration, pitch, velocity, program = note
            if not (0 <= start < _LAST and 0 < duration < _LAST):
                raise DaedalError(f"A note at {start} of {duration} ticks cannot be", "Times are not negative")
            if not (0 <= pitch < 128 and 0 < velocity < 128 and 0 <= program < PROGRAMS):
                raise DaedalError(
                    f"A note of pitch {pitch}, velocity {velocity} and program {program} cannot be",
                    "A pitch is 0 to 127, a velocity 1 to 127 and a program 0 to 128",
                )
            at = (start, program, pitch)
            if at not in kept or kept[at].duration < duration:
                kept[at] = note
            if len(kept) > MOST_NOTES:
                raise DaedalError(f"It has more than {MOST_NOTES:,} notes", "Cut it into several tunes")
        if not kept:
            raise DaedalError("It has no notes", "Give a tune that sounds")
        ordered = [kept[at] for at in sorted(kept)]
        struck: dict[tuple[int, int], int] = {}
        for place, note in enumerate(ordered):
            before = struck.get((note.pitch, note.program))
            if before is not None and ordered[before].end > note.start:
                ordered[before] = ordered[before]._replace(duration=note.start - ordered[before].start)
            struck[note.pitch, note.program] = place
        tune = cls(ticks, tuple(ordered), **said)
        if tune.end > LONGEST * ticks:
            raise DaedalError(f"It is longer than {LONGEST:,} quarter notes", "Cut it into several tunes")
        return tune

    @property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return max(note.end for note in self.notes)

    @property
    def programs(self) -> tuple[int, ...]:
        """Those that sound in it."""
        return tuple(sorted({note.program for note in self.notes}))

    @cached_property
    def _clock(self) -> tuple[list[int], list[float], list[int]]:
        """Ticks at which the tempo changes, the seconds at which that is, and the tempo from there on."""
        changes = dict(((0, USUAL_TEMPO), *self.tempos))
        ticks = sorted(changes)
        seconds = [0.0]
        for before, after in pairwise(ticks):
            seconds.append(seconds[-1] + (after - before) * changes[before] / self.ticks / 1e6)
        return ticks, seconds, [changes[tick] for tick in ticks]

    def seconds_at(self, tick: int) -> float:
        """How long after its beginning a tick is."""
        ticks, seconds, tempos = self._clock
        place = bisect_right(ticks, tick) - 1
        return seconds[place] + (tick - ticks[place]) * tempos[place] / self.ticks / 1e6

    def tick_at(self, seconds: float) -> int:
        """The last tick that is not later than so many seconds."""
        ticks, known, tempos = self._clock
        place = bisect_right(known, seconds) - 1
        return ticks[place] + int((seconds - known[place]) * 1e6 * self.ticks / tempos[place])

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.seconds_at(self.end)

    def until(self, tick: int) -> "Tune | None":
        """What sounds before a tick; None where nothing does."""
        notes = [
            note._replace(duration=min(note.duration, tick - note.start)) for note in self.notes if note.start < tick
        ]
        return replace(self, notes=tuple(notes)) if notes else None

    def values(self) -> dict[str, Any]:
        """As values of JSON, but for the title: see `of_values`."""
        return {
            "ticks": self.ticks,
            "notes": [list(note) for note in self.notes],
            "tempos": [list(each) for each in self.tempos],
            "metres": [list(each) for each in self.metres],
            "key": self.key,
            "style": self.style,
        }

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """The tune of what `values` gave.

        Raises:
            DaedalError: they are none.
        """
        try:
            notes = [Note(*map(int, each)) for each in values["notes"]]
            tempos = tuple((int(tick), int(tempo)) for tick, tempo in values.get("tempos", ()))
            metres = tuple(Metre(*map(int, each)) for each in values.get("metres", ()))
            ticks, key, style = int(values["ticks"]), str(values.get("key", "")), str(values.get("style", ""))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise DaedalError("These values are no tune", "Give its ticks and notes") from None
        if any(tick < 0 or tempo < 1 for tick, tempo in tempos) or any(
            min(each) < 0 or not each.unit for each in metres
        ):
            raise DaedalError("A tempo or metre of these values cannot be", "Times are not negative")
        return cls.of(ticks, notes, tempos=tempos, metres=metres, key=key, style=style)


KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
"""Major keys by their semitones above C; a minor one ends in `m`."""
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
MODES = {"": (0, 2, 4, 5, 7, 9, 11), "m": (0, 2, 3, 5, 7, 8, 9, 10, 11)}
"""The semitones of a scale above its key; minor with both of its sixths and sevenths."""


def tonic(key: str) -> tuple[int, str] | None:
    """The semitones of a key above C, and its mode, a key of `MODES`; None for what is no key."""
    mode = "m" if key.endswith("m") else ""
    name = key.removesuffix("m")
    if name[:1] not in _SEMITONES or name[1:] not in ("", "#", "b"):
        return None
    return (_SEMITONES[name[0]] + {"": 0, "#": 1, "b": -1}[name[1:]]) % 12, mode


def transposed_key(key: str, semitones: int) -> str:
    """The key so many semitones higher, by the usual name; nothing for what is no key."""
    found = tonic(key)
    return "" if found is None else KEYS[(found[0] + semitones) % 12] + found[1]


def within(pitch: int, lowest: int, highest: int) -> int:
    """A pitch, moved by octaves to the nearest from the lowest to the highest, or to one of those."""
    if pitch < lowest:
        return min(highest, pitch + 12 * -(-(lowest - pitch) // 12))
    return max(lowest, pitch - 12 * -(-(pitch - highest) // 12)) if pitch > highest else pitch
