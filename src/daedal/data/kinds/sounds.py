"""Sounds: recordings, and where the sources say so what they are, who speaks and what is said.

WAV, FLAC, OGG, MP3 and the like, in folders and archives. Classes come from folders, or from names as `7_theo_3.wav`;
transcripts and more from tables and texts beside (`daedal.data.sound_tables`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daedal.codecs.sound import loudness, sounding
from daedal.data.artifacts import Unreadable, end_of, read_artifacts
from daedal.data.beside import Beside
from daedal.data.columns import Classes, Ragged, Signals
from daedal.data.document import Example, Lost, Mended, Note
from daedal.data.fields import named_split, split_of_folders
from daedal.data.kind import Found, Kind, Stratified
from daedal.data.peek import Sources
from daedal.data.sound_files import ENDS, LARGEST, decode_sound
from daedal.data.sound_options import SoundOptions
from daedal.data.sound_tables import Said, spoken, stem, telling
from daedal.data.sources import Item, Named, Unit, resolve_path
from daedal.errors import DaedalError

_SIDE = ("txt", "lab", "csv", "tsv", "tab", "jsonl", "json", "md", "html", "htm")
_NAMED = re.compile(r"(?P<label>[^_\W][^_]*)_(?P<speaker>[^_]+)_(?P<number>\d+)")
_MOST_CLASSES = 0.5  # of as many as there are files
_CLIPPED = 3  # samples of full scale in a row


def recognise(sources: Sources) -> float:
    """Sure where about half of the files are sounds: beside each may be a text."""
    ends = [end_of(name) for name in sources.names]
    sounds = sum(end in ENDS for end in ends)
    others = sum(end not in ENDS and end not in _SIDE for end in ends)
    return 0.97 if sounds and sounds > others and 2.2 * sounds >= len(ends) - 3 else 0.0


def units(named: Iterable[Named]) -> list[Unit]:
    """All files of a source are read together: what classes are is seen from all names, and tables speak of any file."""
    return [Unit(number=number, role=each.role, items=each.items) for number, each in enumerate(named)]


@dataclass(frozen=True)
class _Labels:
    """Where classes come from.

    Attributes:
        outer: folders that all recordings are in.
    """

    how: str
    outer: int = 0

    def of(self, label: str) -> Said:
        *folders, file = re.split("[/!]", label)
        if self.how == "names":
            parts = stem(file).split("_")
            parts = parts[:-1] if len(parts) > 1 and parts[-1].isdecimal() else parts
            return Said(label=parts[0] or None, speaker=parts[1] if len(parts) == 2 and parts[1] else None)
        inner = [each for each in folders[self.outer :] if not named_split(each)]
        return Said(label=inner[0] if self.how == "folders" and inner else None)


def read(items: Sequence[Item], options: SoundOptions) -> Iterator[Found]:
    names = [name for name in Sources.of(items).names if end_of(name) in ENDS]
    labels, told = _labels(names, options)
    if told is not None:
        yield Note(told)
    texts = _spoken(items, options)
    yield from texts.notes
    yield from texts.lost
    texts_used = 0
    for item in items:

        def sounds(label: str, end: str, data: bytes) -> Iterator[Found]:
            nonlocal texts_used
            if end not in ENDS:
                if end not in _SIDE:
                    yield Lost(label, "no sound", "not one by its name", len(data), broken=False)
                return
            try:
                signal, mended = decode_sound(data, options.longest)
            except Unreadable as error:
                yield Lost(label, error.reason, error.detail, len(data), error.broken)
                return
            yield from map(Mended, mended)
            said, named = texts.of(label), labels.of(label)
            texts_used += said != Said()
            values = {
                "label": said.label or named.label,
                "speaker": said.speaker or named.speaker,
                "transcript": said.transcript,
            }
            split = split_of_folders(re.split("[/!]", label)[:-1])
            if options.cut is None or said.transcript is not None:
                yield Example(label, -1, {"sound": signal, **values}, split)
                return
            size = round(options.cut * signal.rate)
            for number, first in enumerate(range(0, max(1, len(signal.values) - size // 2), size)):
                piece = signal._replace(values=signal.values[first : first + size])
                yield Example(label, number, {"sound": piece, **values}, split, part=True)

        yield from read_artifacts(item, sounds, LARGEST)
    if len(texts) and not texts_used:
        yield Note("no table or text beside the recordings has the name of one")


def _spoken(items: Sequence[Item], options: SoundOptions) -> Beside[Said]:
    """What tables and texts say, of those that were asked for."""
    given = options.transcripts
    if given == "none":
        return Beside(Said())
    if given not in (None, "beside"):
        named = resolve_path(str(Path(str(given)).expanduser()), "train").items
        found = spoken(named, options.columns, options.encoding, beside=True, tables=True)
        if not len(found):
            why = f" ({found.lost[0].reason}: {found.lost[0].detail})" if found.lost else ""
            raise DaedalError(
                f"{given} says nothing of recordings{why}",
                "Name a table (CSV, TSV, JSON Lines) with a column of files and one of transcripts, or texts",
            )
        return found
    beside, tables = telling(Sources.of(items).names)
    if not beside and not (tables and given is None):
        return Beside(Said())
    return spoken(items, options.columns, options.encoding, beside, tables and given is None)


def _labels(names: Sequence[str], options: SoundOptions) -> tuple[_Labels, str | None]:
    """Where classes come from, and what is to be told of it."""
    paths = [re.split("[/!]", name)[:-1] for name in names]
    outer = 0
    while paths and all(len(path) > outer for path in paths) and len({path[outer] for path in paths}) == 1:
        outer += 1
    outer = max(outer, min(map(len, paths), default=0) and 1)  # the source's own name is no class
    if options.labels is not None:
        return _Labels(options.labels, outer), None
    inner = [[each for each in path[outer:] if not named_split(each)] for path in paths]
    folders = Counter(path[0] for path in inner if path)
    if len(folders) > 1 and folders.total() == len(names) and len(folders) <= _MOST_CLASSES * len(names):
        return _Labels("folders", outer), "classes are the folders of the recordings (--labels none leaves them out)"
    fits = [_NAMED.fullmatch(stem(re.split("[/!]", name)[-1])) for name in names]
    classes = {found["label"] for found in fits if found}
    if names and all(fits) and 1 < len(classes) <= _MOST_CLASSES * len(names):
        first = re.split("[/!]", names[0])[-1]
        return _Labels(
            "names"
        ), f"class and speaker are in the names of files, as {first} (--labels none leaves them out)"
    return _Labels("none"), None


def heard(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How long recordings last, their rates and channels, how loud they are, and what is wrong with some."""
    rates: Counter[int] = Counter()
    channels: Counter[int] = Counter()
    seconds, levels, clipped, silence = [], [], 0, 0.0
    for example in examples:
        signal = example["sound"]
        rates[int(signal.rate)] += 1
        channels[signal.values.shape[1]] += 1
        mono = signal.values.astype(np.float32).mean(axis=1) / 32768
        seconds.append(len(mono) / signal.rate)
        levels.append(loudness(mono))
        clipped += _is_clipped(signal.values)
        first, last = sounding(mono, int(signal.rate))
        silence += (len(mono) - (last - first)) / signal.rate
    if not seconds:
        return
    low, middle, high = np.quantile(seconds, (0, 0.5, 1))
    yield f"recordings last {low:.2f} to {high:.2f} s, {middle:.2f} s in the middle, {sum(seconds) / 3600:.2f} hours in all"
    if len(rates) > 1 or len(channels) > 1 or max(channels) > 1:
        of_rates = ", ".join(f"{count:,} of {rate:,} Hz" for rate, count in rates.most_common(5))
        of_channels = ", ".join(
            f"{count:,} of {each} channel{'s' * (each > 1)}" for each, count in channels.most_common(5)
        )
        yield f"recordings are brought to one rate and to mono: {of_rates}; {of_channels}"
    low, middle, high = np.quantile(levels, (0.05, 0.5, 0.95))
    yield (
        f"loudness is {middle:.0f} dB of full scale in the middle, {low:.0f} to {high:.0f} for nine in ten "
        "(--set loudness=-23 brings all to one)"
    )
    if clipped:
        yield f"{clipped:,} recordings are clipped: {_CLIPPED} samples and more in a row are at full scale"
    if silence > 0.02 * sum(seconds):
        yield f"{silence:,.0f} s at the ends of recordings are silent (--set trim=true cuts them off)"


def _is_clipped(values: np.ndarray) -> bool:
    full = (values == 32767) | (values == -32768)
    run = full[_CLIPPED - 1 :]
    for back in range(_CLIPPED - 1):
        run = run & full[back : len(full) - _CLIPPED + 1 + back]
    return bool(run.any())


KIND = Kind(
    name="sounds",
    columns={
        "sound": Signals(codec="sound"),
        "label": Classes(optional=True, omissible=True),
        "speaker": Classes(optional=True, omissible=True),
        "transcript": Ragged(optional=True, omissible=True, near=False),
    },
    key=("sound",),
    recognise=recognise,
    read=read,
    units=units,
    split=Stratified("label"),
    checks=(heard,),
    options=SoundOptions,
    packages=("numpy", "pyarrow", "scipy", "soundfile", "tokenizers"),
    card="daedal.data.sound_card:of_sounds",
)
