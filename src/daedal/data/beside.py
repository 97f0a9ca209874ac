"""What tables and texts say of the files beside them, by the names of those files."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from daedal.data.document import Lost, Note
from daedal.data.images.kinds import without_end

S = TypeVar("S")
T = TypeVar("T")


class Beside(Generic[S]):
    """What is said of files.

    Args:
        nothing: what is said of a file of which nothing is.

    Attributes:
        notes: which columns were taken.
        lost: what could not be read of the tables and texts.
    """

    def __init__(self, nothing: S) -> None:
        self._nothing = nothing
        self._said: dict[str, S] = {}
        self.notes: list[Note] = []
        self.lost: list[Lost] = []

    def add(self, name: str, said: S) -> None:
        """What is said first of a file stays."""
        self._said.setdefault(_key(name), said)

    def told(self, found: Iterable[T | Lost]) -> Iterator[T]:
        """What was found, without what could not be read, which is kept as `lost`."""
        for each in found:
            if isinstance(each, Lost):
                self.lost.append(each)
            else:
                yield each

    def of(self, label: str) -> S:
        """What is said of the file of this label: by the longest end of its path that is named."""
        parts = _key(label).split("/")
        found = (self._said.get("/".join(parts[begin:])) for begin in range(len(parts)))
        return next((each for each in found if each is not None), self._nothing)

    def __len__(self) -> int:
        return len(self._said)


def one_line(value: Any) -> str | None:
    """A cell on one line, or of a column of Hugging Face the path in it; None where it says nothing."""
    if isinstance(value, dict):
        value = value.get("path")
    return None if value is None else " ".join(str(value).split()) or None


def _key(name: str) -> str:
    return without_end(re.sub(r"[!\\]", "/", name).removeprefix("./"))
