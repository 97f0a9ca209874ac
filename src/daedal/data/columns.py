"""Columns of an example: how a value is kept while a build goes on, hashed, and compared for near copies.

What becomes of it in the data folder follows from its type: `Ragged` is rows of ids, made by a codec that columns may share;
`Classes` are numbers of names; `Numbers` and `Dense` arrays are
numbers; `Strings` stay what they are. See `daedal.data.example_files`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from daedal.errors import DaedalError


@dataclass(frozen=True)
class Column:
    """A column that holds text, or with `structured` a JSON value.

    Attributes:
        optional: whether an example may be without it.
        near: whether its words tell near copies.
        structured: whether values are lists and objects of JSON, not text.
    """

    optional: bool = False
    near: bool = False
    structured: bool = False

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


@dataclass(frozen=True)
class Ragged(Column):
    """Rows of ids of any length.

    Attributes:
        codec: what makes ids of values: `text`, `chat` or `items`; columns with the same one share it.
    """

    codec: Literal["text", "chat", "items"] = "text"
    near: bool = True


@dataclass(frozen=True)
class Strings(Column):
    """Text, or JSON, that is kept as it is."""


@dataclass(frozen=True)
class Classes(Column):
    """Names of which there are a few: numbers in the order of their names, as the train split has them."""


@dataclass(frozen=True)
class Numbers(Column):
    """Numbers."""

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


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
