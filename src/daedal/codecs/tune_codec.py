"""Tunes to ids and back: the codes of a layout (`events`, `voices`) between a begin and an end, behind what is said of them.

    [key] [metre] [instrument] [style] begin code code ... end

What is said has a place for each of `CONDITIONS` of which the data name several; a place may say nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    conditions: dict[Condition, tuple[str, ...]] = {}
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
        tunes: Iterable[Tune],
        layout: Literal["auto", "voices", "events"] = "auto",
        steps: Literal[1, 2, 4] | None = None,
        voices: int | None = None,
    ) -> Self:
        """The codec of tunes.

        Args:
            layout: `auto` takes a grid of voices where it keeps everything of every tune, and events elsewhere.
            steps, voices: of a grid; as few as keep everything unless given.
        """
        known = list(tunes)
        said = {name: Counter(said_of(tune)[name] for tune in known) for name in CONDITIONS}
        conditions: dict[Condition, Sequence[str]] = {}
        for name, counts in said.items():
            names = sorted(each for each, count in counts.items() if each and count >= min(_FEWEST, len(known)))
            if name == "key" and names:
                conditions[name] = _ALL_KEYS  # those that transposition makes
            elif len(names) > 1:
                conditions[name] = names
        grid = _grid(known, layout, steps, voices) if layout != "events" else None
        if grid is not None:
            return cls(grid, conditions)
        events = Events.fit(known)
        errors = [events.error(tune) for tune in known]
        notes = sum(each.notes for each in errors)
        moved = sum(each.quarters * each.notes for each in errors) / max(1, notes)
        lost = sum(each.lost for each in errors)
        told = f"starts of notes move by {moved:.3f} of a quarter on average"
        return cls(events, conditions, told + (f", {lost:,} of {notes:,} notes fall together with others" if lost else ""))

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

    def said(self, values: Mapping[str, str]) -> list[int]:
        """The ids before the begin, where so much is said; what is not known says nothing."""
        return [
            first + 1 + self.conditions[name].index(values[name]) if values.get(name) in self.conditions[name] else first
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


def _grid(tunes: Sequence[Tune], layout: str, steps: Literal[1, 2, 4] | None, voices: int | None) -> Voices | None:
    """The grid of tunes; None where none keeps everything of all of them and none is asked for."""
    found = []
    for tune in tunes:
        grid = None if layout == "voices" and steps is not None else fitting(tune)
        if grid is None and layout != "voices":
            return None
        found.append(grid)
    drawn = [each for each in found if each is not None]
    finest: Literal[1, 2, 4] = steps or max((each.steps for each in drawn), default=4)
    usual = Counter((each.program, each.velocity, each.tempo) for each in drawn).most_common(1)
    played = dict(zip(("program", "velocity", "tempo"), usual[0][0], strict=True)) if usual else {}
    pitches = [note.pitch for tune in tunes for note in tune.notes if note.program != DRUMS]
    wide = Voices(steps=finest, voices=MOST_VOICES)
    codes = (wide.encode(tune).reshape(-1, MOST_VOICES) for tune in tunes)
    most = voices or max((int((rows < wide.size - 1).sum(1).max(initial=1)) for rows in codes), default=1)
    return Voices.parse(
        {
            "steps": finest, "voices": most, "lowest": min(pitches, default=0), "highest": max(pitches, default=127), **played
        }, "tune codec",
    )  # fmt: skip
