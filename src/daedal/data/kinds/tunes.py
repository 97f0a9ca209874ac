"""Tunes: music as notes. MIDI files, and JSON of chorales: for each step the pitches that sound, tunes as lists of steps,
splits by their names.

ABC is text, and a GPT learns it as such. What is a folder's name, where tunes lie in several, is their style.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from pydantic import Field

from daedal.codecs.midi import LARGEST, read_midi
from daedal.codecs.tune import DRUMS, Tune
from daedal.codecs.tune_codec import FAMILIES
from daedal.codecs.voices import MOST_VOICES, Voices, tune_of_chords
from daedal.data.artifacts import end_of, read_artifacts
from daedal.data.columns import Strings, Tunes
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import named_split, split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.peek import Sources
from daedal.data.sources import Item
from daedal.errors import DaedalError

Steps = Literal[1, 2, 4]
MIDI = frozenset(("mid", "midi", "kar"))
_LARGEST_JSON = 64 * 2**20
_STEPS: dict[str, Steps] = {"16th": 4, "8th": 2, "quarter": 1}
_SURE = 0.95


class TuneOptions(ExampleOptions):
    """
    Attributes:
        layout: a grid of voices, or events; a grid where that keeps everything of every tune.
        steps: of a quarter, in chorales of JSON and on a grid: 1, 2 or 4; as the name of the file says, or 4.
        voices: of a grid; as many as sound together.
        min_notes: tunes of fewer are left out.
    """

    layout: Literal["auto", "voices", "events"] = "auto"
    steps: Steps | None = None
    voices: int | None = Field(default=None, ge=1, le=MOST_VOICES)
    min_notes: int = Field(default=2, ge=1)


def recognise(sources: Sources) -> float:
    names = sources.names
    midi = sum(end_of(name) in MIDI for name in names)
    if midi:
        return _SURE if midi > len(names) / 2 else 0.5
    wholes = [peek.whole.value for peek in sources.peeks if peek.whole is not None and peek.whole.value is not None]
    return 0.9 if wholes and all(any(True for _ in chorales(value)) for value in wholes) else 0.0


def read(items: Sequence[Item], options: TuneOptions) -> Iterator[Found]:
    for item in items:
        yield from read_artifacts(item, partial(_read, options=options), _LARGEST_JSON)


def _read(label: str, end: str, data: bytes, options: TuneOptions) -> Iterator[Found]:
    if end == "json":
        yield from _chorales(label, data, options)
        return
    if end not in MIDI and not data.startswith(b"MThd"):
        yield Lost(label, "no tune", "neither MIDI nor JSON by its name", len(data), broken=False)
        return
    if len(data) > LARGEST:
        yield Lost(label, "too large", f"more than {LARGEST // 2**20} MiB of MIDI", len(data))
        return
    try:
        tune = read_midi(data)
    except DaedalError as error:
        yield Lost(label, _reason(error.what), error.what, len(data))
        return
    style = _folder(label)
    yield from _example(label, -1, replace(tune, style=style), split_of_name(label), options)


def _reason(what: str) -> str:
    """What a reading failed by, in two words."""
    for words, reason in (("no notes", "no notes"), ("cut", "cut"), ("type", "type 2"), ("more than", "too many notes"),
                          ("negative", "negative times"), ("longer", "too long")):  # fmt: skip
        if words in what:
            return reason
    return "broken file"


def _folder(label: str) -> str:
    """The folder of a file, unless it is that of a split."""
    parts = label.replace("!", "/").split("/")
    name = parts[-2] if len(parts) > 1 else ""
    return "" if name.rpartition(".")[2] in ("zip", "tar", "gz") or named_split(name) else name[:60]


def _example(label: str, row: int, tune: Tune, split: str | None, options: TuneOptions) -> Iterator[Found]:
    if len(tune.notes) < options.min_notes:
        yield Lost(label, "few notes", f"{len(tune.notes)} of them", broken=False)
        return
    yield Example(label, row, {"tune": tune.values(), "title": tune.title or None}, split)


# -- chorales ----------------------------------------------------------------------------------------------------------


def _chorales(label: str, data: bytes, options: TuneOptions) -> Iterator[Found]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        yield Lost(label, "broken JSON", "it cannot be read", len(data))
        return
    named = next((steps for name, steps in _STEPS.items() if name in label.lower()), None)
    grid = Voices(steps=options.steps or named or 4, voices=MOST_VOICES)
    count = 0
    for split, chords in chorales(value):
        try:
            tune = tune_of_chords(chords, grid)
        except DaedalError as error:
            yield Lost(label, _reason(error.what), f"tune {count}: {error.what}")
        else:
            if tune is None:
                yield Lost(label, "no notes", f"tune {count} is silent", broken=False)
            else:
                yield from _example(label, count, tune, named_split(split), options)
        count += 1
    if not count:
        yield Lost(label, "no tune", "it is no list of tunes, of steps, of pitches", len(data), broken=False)
    elif named is None and options.steps is None:
        yield Note(f"{label} does not say how long its steps are: taken as sixteenths (--set steps=1 for quarters)")


def chorales(value: Any, name: str = "") -> Iterator[tuple[str, list[list[int]]]]:
    """The tunes in a value of JSON, each with the name that it stands under: pitches of each step, the highest first."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from chorales(each, str(key))
    elif isinstance(value, list) and value:
        chords = [_chord(step) for step in value]
        if all(chord is not None for chord in chords) and any(chords):
            yield name, [chord for chord in chords if chord is not None]
        elif all(isinstance(each, list) for each in value):
            for each in value:
                yield from chorales(each, name)


def _chord(step: Any) -> list[int] | None:
    """The pitches of a step, each once; None where it is none. A pitch below 0, or none at all, is silence."""
    if step is None:
        return []
    if not isinstance(step, list):
        return None
    pitches = set[int]()
    for pitch in step:
        if pitch is None or (isinstance(pitch, float) and pitch != pitch):
            continue
        if isinstance(pitch, bool) or not isinstance(pitch, int | float) or pitch != int(pitch) or pitch > 127:
            return None
        if pitch >= 0:
            pitches.add(int(pitch))
    return sorted(pitches, reverse=True)


# -- the card ----------------------------------------------------------------------------------------------------------


def tell(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How many notes there are, and what is said of the tunes."""
    tunes = notes = 0
    lowest, highest, seconds = 127, 0, 0.0
    said: dict[str, Counter[str]] = {name: Counter() for name in ("metres", "keys", "instruments", "styles")}
    for example in examples:
        tune = Tune.of_values(example["tune"])
        tunes, notes, seconds = tunes + 1, notes + len(tune.notes), seconds + tune.seconds
        pitches = [note.pitch for note in tune.notes if note.program != DRUMS]
        lowest, highest = min([lowest, *pitches]), max([highest, *pitches])
        said["metres"].update(f"{beats}/{unit}" for _, beats, unit in tune.metres[:1])
        said["keys"].update([tune.key] if tune.key else [])
        said["instruments"].update({"drums" if each == DRUMS else FAMILIES[each // 8] for each in tune.programs})
        said["styles"].update([tune.style] if tune.style else [])
    if tunes:
        yield f"{tunes:,} tunes of {notes:,} notes, {seconds / 60:,.0f} minutes, pitches {lowest} to {highest}"
    for name, counts in said.items():
        if counts:
            common = ", ".join(f"{each} ({count:,})" for each, count in counts.most_common(8))
            yield f"{name}: {common}" + (" ..." if len(counts) > 8 else "")


KIND = Kind(
    name="tunes",
    columns={"tune": Tunes(), "title": Strings(optional=True, omissible=True)},
    key=("tune",),
    recognise=recognise,
    read=read,
    checks=(tell,),
    options=TuneOptions,
    packages=("numpy", "pyarrow", "mido"),
)
