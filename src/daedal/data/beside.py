"""What tables and texts say of the files beside them, by the names of those files."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from daedal.data.document import Lost, Note
from daedal.data.images.kinds import without_end

S = TypeVar("S", bound=tuple[str | None, ...])
T = TypeVar("T")


class Beside(Generic[S]):
    """What is said of files.

    Args:
        nothing: what is said of a file of which nothing is.

    Attributes:
        columns: notes of which columns were taken.
        lost: what could not be read of the tables and texts.
    """

    def __init__(self, nothing: S) -> None:
        self._nothing = nothing
        self._said: dict[str, S] = {}
        self._twice: set[str] = set()
        self.columns: list[Note] = []
        self.lost: list[Lost] = []

    @property
    def notes(self) -> list[Note]:
        """Which columns were taken, and of how many files two things are said."""
        twice = f"{len(self._twice):,} files have two rows or texts that differ: the first is taken"
        return self.columns + [Note(twice)] * bool(self._twice)

    def add(self, name: str, said: S) -> None:
        """What is said first of a file stays; what it leaves open may be said later."""
        key = _key(name)
        first = self._said.setdefault(key, said)
        if first != said:
            pairs = list(zip(first, said, strict=True))
            merged = (old if old is not None else new for old, new in pairs)
            self._said[key] = type(said)(*merged)  # type: ignore[arg-type]  # a named tuple takes its fields one by one
            if any(None not in pair and len({*pair}) == 2 for pair in pairs):
                self._twice.add(key)

    def told(self, found: Iterable[T]) -> Iterator[T]:
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
