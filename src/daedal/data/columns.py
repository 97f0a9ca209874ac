"""Columns of an example: how a value is kept while a build goes on, hashed, and compared for near copies.

What becomes of it in the data folder follows from its type: `Ragged` is rows of ids, made by a codec that columns may share;
`Classes` are numbers of names, `Sets` several of them; `Numbers` and `Dense` arrays are numbers; `Strings`, `Words` and `Tags`
stay what they are. What `Labels` are is known when all were read: see `daedal.data.kind.Survey`.
How they are written: `daedal.data.example_files`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from daedal.errors import DaedalError


@dataclass(frozen=True)
class Column:
    """A column that holds text, or with `structured` a JSON value.

    Attributes:
        optional: whether an example may be without it.
        near: whether its words tell near copies.
        structured: whether values are lists and objects of JSON, not text.
        omissible: whether a data folder goes without it where no example has it. Such columns are the last ones of a kind.
    """

    optional: bool = False
    near: bool = False
    structured: bool = False
    omissible: bool = False

    def normal(self, value: Any, clean: Callable[[str], str]) -> Any:
        """A value that was read in its normal form, its texts cleaned; None for one that says nothing."""
        if isinstance(value, str):
            value = clean(value)
            return value if value.strip() else None
        if not self.structured:  # numbers may stand for text; lists and objects are none
            return str(value) if isinstance(value, int | float) and value == value else None
        if isinstance(value, Mapping):
            return {name: _inner(each, clean) for name, each in value.items()} or None
        if isinstance(value, Sequence):
            return [_inner(each, clean) for each in value] or None
        return value

    def of(self, value: Any) -> Any:
        """A value as this column has it, of what was read before its type was known."""
        return value

    def pack(self, value: Any) -> bytes:
        """A value as bytes: the same for equal values."""
        if self.structured:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return str(value).encode("utf-8", "replace")

    def unpack(self, data: bytes) -> Any:
        """The value of what `pack` gave."""
        return json.loads(data) if self.structured else data.decode()

    def words(self, value: Any) -> str:
        """The text in a value."""
        return "\n".join(_texts(value)) if self.structured else str(value)

    def shown(self, value: Any) -> str:
        """A value as people are shown it."""
        return self.words(value)


@dataclass(frozen=True)
class Ragged(Column):
    """Rows of ids of any length.

    Attributes:
        codec: what makes ids of values, by its name in `daedal.data.column_codecs`; columns with the same one share it.
    """

    codec: Literal["text", "chat", "items", "tune", "sound", "clip"] = "text"
    near: bool = True


class Signal(NamedTuple):
    """Sound, or the frames of a clip.

    Attributes:
        values: int16 of `[samples, channels]`, or uint8 of `[frames, height, width, channels]`.
        rate: samples or frames in a second.
    """

    values: np.ndarray
    rate: float


@dataclass(frozen=True)
class Signals(Ragged):
    """Rows of ids that a codec makes of signals. Their values are in no table: what is kept are the ids."""

    near: bool = False

    def normal(self, value: Any, clean: Callable[[str], str]) -> Any:
        return value

    def pack(self, value: Any) -> bytes:
        head = json.dumps([value.values.dtype.str, value.values.shape, value.rate]).encode()
        return head + b"\n" + np.ascontiguousarray(value.values).tobytes()

    def unpack(self, data: bytes) -> Any:
        head, _, rest = data.partition(b"\n")
        dtype, shape, rate = json.loads(head)
        return Signal(np.frombuffer(rest, dtype=dtype).reshape(shape), rate)

    def words(self, value: Any) -> str:
        return ""


@dataclass(frozen=True)
class Tunes(Ragged):
    """Rows of ids that a codec makes of tunes, which are values of JSON: see `daedal.codecs.tune.Tune.values`."""

    codec: Literal["tune"] = "tune"
    structured: bool = True

    def normal(self, value: Any, clean: Callable[[str], str]) -> Any:
        return value

    def words(self, value: Any) -> str:
        """A word for each chord: how its pitches lie from the highest one before. So a tune is near to what it is in another
        key, and not to another setting of its melody."""
        chords: dict[int, list[int]] = {}
        for start, _, pitch, *_ in value["notes"]:
            chords.setdefault(start, []).append(pitch)
        words, top = [], next(iter(chords.values()))[-1]
        for start in sorted(chords):
            words.append("x" + "x".join(str(pitch - top + 128) for pitch in chords[start]))
            top = max(chords[start])
        return " ".join(words)

    def shown(self, value: Any) -> str:
        pitches = [note[2] for note in value["notes"]]
        return f"{len(pitches):,} notes, pitches {min(pitches)} to {max(pitches)}"


@dataclass(frozen=True)
class Strings(Column):
    """Text, or JSON, that is kept as it is."""


@dataclass(frozen=True)
class Words(Strings):
    """Lists of words, kept as they are; the text codec learns from them, joined by spaces, all the same."""

    structured: bool = True
    near: bool = True

    def words(self, value: Any) -> str:
        return " ".join(map(str, value))


@dataclass(frozen=True)
class Tags(Strings):
    """Lists of names, one for each word, kept as they are; the manifest has the names that the train split has, `O` first."""

    structured: bool = True


@dataclass(frozen=True)
class Classes(Column):
    """Names of which there are a few: numbers in the order of their names, as the train split has them."""

    def normal(self, value: Any, clean: Callable[[str], str]) -> Any:
        value = super().normal(value, clean)
        return value.strip() if isinstance(value, str) else value


@dataclass(frozen=True)
class Sets(Column):
    """Any number of such names, each once: their numbers in order."""

    structured: bool = True

    def of(self, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


@dataclass(frozen=True)
class Labels(Classes):
    """A class, a list of classes or a number: which of these all of them are, the kind says when they were read."""

    def normal(self, value: Any, clean: Callable[[str], str]) -> Any:
        if isinstance(value, list):
            names = [super(Labels, self).normal(each, clean) for each in value]
            return None if None in names else sorted(set(names), key=natural)
        return super().normal(value, clean)

    def pack(self, value: Any) -> bytes:
        return b"\0" + Sets().pack(value) if isinstance(value, list) else super().pack(value)  # clean text has no NUL

    def unpack(self, data: bytes) -> Any:
        return json.loads(data[1:]) if data.startswith(b"\0") else super().unpack(data)

    def words(self, value: Any) -> str:
        return ", ".join(value) if isinstance(value, list) else super().words(value)


@dataclass(frozen=True)
class Numbers(Column):
    """Numbers."""

    def normal(self, value: Any, clean: Callable[[str], str]) -> Any:
        return value

    def of(self, value: Any) -> Any:
        return None if value is None else float(value)

    def words(self, value: Any) -> str:
        return f"{value:.15g}"

    def pack(self, value: Any) -> bytes:
        return repr(float(value)).encode()

    def unpack(self, data: bytes) -> Any:
        return float(data)


@dataclass(frozen=True)
class Dense(Column):
    """Arrays of numbers, all of one shape.

    Attributes:
        shape: of each.
        dtype: of their numbers.
    """

    shape: tuple[int, ...] = ()
    dtype: Literal["uint8", "int16", "int32", "int64", "float32", "float64"] = "float32"

    def normal(self, value: Any, clean: Callable[[str], str]) -> Any:
        return value

    def pack(self, value: Any) -> bytes:
        array = np.asarray(value, dtype=self.dtype)
        if array.shape != self.shape:
            raise DaedalError(f"An array of shape {array.shape} stands where {self.shape} is declared", "Mend the kind")
        return array.astype(array.dtype.newbyteorder("<")).tobytes()

    def unpack(self, data: bytes) -> Any:
        return np.frombuffer(data, dtype=np.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)

    def words(self, value: Any) -> str:
        return ""


def natural(name: str) -> tuple[int, int, str]:
    """The order of classes: numbers by their size, then names by their letters."""
    return (0, int(name), name) if name.isascii() and name.isdigit() else (1, 0, name)


def natural_tags(name: str) -> tuple[bool, tuple[int, int, str]]:
    """The order of tags: `O`, which says nothing of a word, and then as classes."""
    return name != "O", natural(name)


def _inner(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: _inner(each, clean) for name, each in value.items()}
    return [_inner(each, clean) for each in value] if isinstance(value, list | tuple) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
