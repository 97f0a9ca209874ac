"""Tunes to ids and back: the codes of a layout (`events`, `voices`) between a begin and an end, behind what is said of them.

    [key] [metre] [instrument] [style] begin code code ... end

What is said has a place for each of `CONDITIONS` of which the data name several; a place may say nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Int64
from pydantic import Field

from daedal.codecs.events import Events
from daedal.codecs.tune import DRUMS, KEYS, Tune, tonic, transposed_key
from daedal.codecs.voices import MOST_VOICES, Voices, fitting
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_json, write_json

Array = np.ndarray
TUNE_CODEC = "tune_codec.json"
Condition = Literal["key", "metre", "instrument", "style"]
CONDITIONS: tuple[Condition, ...] = ("key", "metre", "instrument", "style")
FAMILIES = (
    "piano", "bells", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "lead", "pad", "effects",
    "plucked", "percussive", "sounds", "drums",
)  # fmt: skip
"""Of programs, eight each; the last are drums."""
_ALL_KEYS = (*KEYS, *(f"{key}m" for key in KEYS))
_FEWEST = 2  # tunes that must say a metre, an instrument or a style for it to be asked for


class _Saved(Config):
    """What `tune_codec.json` holds."""

    format: Literal[1] = 1
    layout: Voices | Events = Field(discriminator="layout")
    conditions: dict[Condition, tuple[str, ...]] = Field(default_factory=dict)
    error: str = ""


class TuneCodec:
    """Tunes <-> ids. Codes come first, so that a slice of the ids is what may be written.

    Args:
        conditions: what may be said of a tune, and the names that there are of each.
        error: what the layout costs the tunes that it was learned from, in a few words.
    """

    def __init__(
        self, layout: Voices | Events, conditions: Mapping[Condition, Sequence[str]] | None = None, error: str = ""
    ) -> None:
        self.layout = layout
        self.conditions = {name: tuple(names) for name, names in (conditions or {}).items()}
        self.error = error
        self.end = layout.size
        self.begin = layout.size + 1
        self._firsts: dict[Condition, int] = {}
        following = self.begin + 1
        for name, names in self.conditions.items():
            self._firsts[name] = following  # which says nothing; its names follow
            following += 1 + len(names)
        self.vocab_size = following

    @classmethod
    def fit(
        cls,
        tunes: Callable[[], Iterable[Tune]],
        layout: Literal["auto", "voices", "events"] = "auto",
        steps: Literal[1, 2, 4] | None = None,
        voices: int | None = None,
    ) -> Self:
        """The codec of tunes.

        Args:
            tunes: gives them, as often as it is asked.
            layout: `auto` takes a grid of voices where it keeps everything of every tune, and events elsewhere.
            steps, voices: of a grid; as few as keep everything unless given.
        """
        counts: dict[Condition, Counter[str]] = {name: Counter() for name in CONDITIONS}
        grids = _Grids(layout, steps)
        many = 0
        for tune in tunes():
            many += 1
            for name, value in said_of(tune).items():
                counts[name][value] += 1
            grids.add(tune)
        conditions: dict[Condition, Sequence[str]] = {}
        for name, found in counts.items():
            names = sorted(each for each, count in found.items() if each and count >= min(_FEWEST, many))
            if name == "key" and names:
                conditions[name] = _ALL_KEYS  # those that transposition makes
            elif len(names) > 1:
                conditions[name] = names
        if grids.able:
            grid = grids.made(voices)
            lost, notes = (0, 0) if layout == "auto" and voices is None else _lost(grid, tunes())
            return cls(grid, conditions, f"{lost:,} of {notes:,} notes have no place on it" if lost else "")
        events = Events.fit(tunes())
        moved, lost, notes = 0.0, 0, 0
        for error in map(events.error, tunes()):
            moved, lost, notes = moved + error.quarters * error.notes, lost + error.lost, notes + error.notes
        told = f"starts of notes move by {moved / max(1, notes):.3f} of a quarter on average"
        told += f", {lost:,} of {notes:,} notes fall together with others" if lost else ""
        return cls(events, conditions, told)

    @property
    def described(self) -> str:
        """In a few words."""
        said = f", told {' and '.join(self.conditions)}" if self.conditions else ""
        return f"{self.layout.described}{said}, {self.vocab_size:,} ids" + (f"; {self.error}" if self.error else "")

    @property
    def opening(self) -> int:
        """Ids before the codes, the begin included."""
        return len(self.conditions) + 1

    # -- what is said --------------------------------------------------------------------------------------------------

    def said(self, values: Mapping[Any, str]) -> list[int]:
        """The ids before the begin, where so much is said; what is not known says nothing."""
        return [
            first + 1 + self.conditions[name].index(values[name])
            if values.get(name) in self.conditions[name]
            else first
            for name, first in self._firsts.items()
        ]

    def asked(self, values: Mapping[str, str]) -> list[int]:
        """The same of what a person asks for.

        Raises:
            DaedalError: it cannot be asked for.
        """
        for name, value in values.items():
            names = self.conditions.get(name)  # type: ignore[call-overload]
            if names is None:
                able = f"of {' and '.join(self.conditions)}" if self.conditions else "of nothing"
                raise DaedalError(f"The model was told {able}, and of no {name}", f"Leave {name} out")
            if value not in names:
                raise DaedalError(f"The model knows no {name} {value!r}", f"Choose {', '.join(names)}")
        return self.said(values)

    def unsaid(self, ids: Int64[Array, " ids"]) -> Int64[Array, " ids"]:
        """Ids behind which nothing is said."""
        return np.array([*self.said({}), *ids[len(self.conditions) :]], dtype=np.int64)

    # -- tunes ---------------------------------------------------------------------------------------------------------

    def encode(self, tune: Tune) -> Int64[Array, " ids"]:
        """The ids of a tune."""
        return np.array([*self.said(said_of(tune)), self.begin, *self.layout.encode(tune), self.end], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> Tune | None:
        """The tune of ids, whatever of an opening and an end they have; None where nothing sounds in it."""
        given = np.asarray(ids, dtype=np.int64)
        tune = self.layout.decode(given[given < self.layout.size])
        first, keys = self._firsts.get("key", -1), self.conditions.get("key", ())
        key = next((keys[id - first - 1] for id in given[: self.opening].tolist() if 0 < id - first <= len(keys)), "")
        return tune if tune is None or not key or first < 0 else replace(tune, key=key)

    def codes(self, ids: Int64[Array, " ids"]) -> Int64[Array, " codes"]:
        """The codes of a whole row of ids."""
        return ids[self.opening : -1]

    def transposed(self, opening: Int64[Array, " opening"], semitones: int) -> Int64[Array, " opening"]:
        """What is said of a tune that is so many semitones higher."""
        names, moved = self.conditions.get("key"), opening.copy()
        if names is None or not semitones:
            return moved
        place, first = list(self.conditions).index("key"), self._firsts["key"]
        if moved[place] > first:
            key = transposed_key(names[int(moved[place]) - first - 1], semitones)
            moved[place] = first + 1 + names.index(key)
        return moved

    # -- files ---------------------------------------------------------------------------------------------------------

    @cached_property
    def _values(self) -> dict[str, Any]:
        saved = _Saved(layout=self.layout, conditions=self.conditions, error=self.error)
        return saved.model_dump(mode="json")

    def fingerprint(self) -> str:
        """SHA-256 of what it is."""
        return hashlib.sha256(json.dumps(self._values, sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path | str) -> None:
        write_json(Path(folder) / TUNE_CODEC, self._values)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """
        Raises:
            DaedalError: the file is missing or damaged.
        """
        path = Path(folder) / TUNE_CODEC
        saved = _Saved.parse(read_json(path), str(path))
        return cls(saved.layout, saved.conditions, saved.error)


def said_of(tune: Tune) -> dict[Condition, str]:
    """What is said of a tune; nothing where nothing is."""
    key = tonic(tune.key)
    metre = f"{tune.metres[0].beats}/{tune.metres[0].unit}" if tune.metres else ""
    programs = Counter(note.program for note in tune.notes)
    instrument = FAMILIES[min(programs, key=lambda each: (-programs[each], each)) // 8]
    return {
        "key": "" if key is None else KEYS[key[0]] + key[1], "metre": metre, "instrument": instrument, "style": tune.style
    }  # fmt: skip


def _lost(grid: Voices, tunes: Iterable[Tune]) -> tuple[int, int]:
    """How many notes have no place on a grid, and of how many."""
    lost = notes = 0
    for tune in tunes:
        lost, notes = lost + grid.lost(tune), notes + len(tune.notes)
    return lost, notes


class _Grids:
    """The grid that tunes would have.

    Attributes:
        able: whether they may have one: it keeps everything of all, or is asked for.
    """

    def __init__(self, layout: Literal["auto", "voices", "events"], steps: Literal[1, 2, 4] | None) -> None:
        self.able, self._asked, self._given = layout != "events", layout == "voices", steps
        self._steps: Literal[1, 2, 4] = steps or 1
        self._played: Counter[tuple[int, int, int]] = Counter()
        self._pitches: set[int] = set()
        self._most = 1

    def add(self, tune: Tune) -> None:
        if not self.able:
            return
        grid = fitting(tune)
        kept = grid is not None and (self._given is None or grid.steps <= self._given)
        self.able = self._asked or kept
        if grid is not None:
            self._played[grid.program, grid.velocity, grid.tempo] += 1
            self._steps = self._given or max(self._steps, grid.steps)
        elif self._given is None:
            self._steps = 4
        wide = Voices(steps=self._steps, voices=MOST_VOICES)
        self._most = max(
            self._most, int((wide.encode(tune).reshape(-1, MOST_VOICES) < wide.silent).sum(1).max(initial=1))
        )
        self._pitches |= {note.pitch for note in tune.notes if note.program != DRUMS}

    def made(self, voices: int | None) -> Voices:
        """It, with so many voices."""
        played = self._played.most_common(1)
        values = dict(zip(("program", "velocity", "tempo"), played[0][0], strict=True)) if played else {}
        return Voices.parse(
            {
                "steps": self._steps, "voices": voices or self._most, "lowest": min(self._pitches, default=0),
                "highest": max(self._pitches, default=127), **values,
            },
            "tune codec",
        )  # fmt: skip
