"""Items, such as films or products, as ids: a number for each name; 0 is what was not there to learn from, 1 ends a history."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from daedal.errors import DaedalError
from daedal.files import read_json, write_json

ITEMS = "items.json"
UNKNOWN, END = 0, 1
_FIRST = 2


class ItemCodec:
    """Names of items <-> ids. The more often an item was taken, the smaller its id.

    Args:
        names: of the items, in the order of their ids.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._ids = {name: number for number, name in enumerate(self.names, _FIRST)}

    @classmethod
    def fit(cls, histories: Iterable[Sequence[str]]) -> Self:
        """The codec of all items that are in histories."""
        counts: Counter[str] = Counter()
        for history in histories:
            counts.update(history)
        return cls([name for name, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))])

    @property
    def vocab_size(self) -> int:
        return len(self.names) + _FIRST

    def encode(self, history: Sequence[str]) -> list[int]:
        """The ids of items, without the end."""
        return [self._ids.get(name, UNKNOWN) for name in history]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The names of ids; what stands for no item is left out."""
        return [self.names[id - _FIRST] for id in ids if _FIRST <= id < self.vocab_size]

    def fingerprint(self) -> str:
        """SHA-256 of the names."""
        return hashlib.sha256(json.dumps(self.names).encode()).hexdigest()

    def save(self, folder: Path | str) -> None:
        write_json(Path(folder) / ITEMS, list(self.names))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """
        Raises:
            DaedalError: the file is missing or damaged.
        """
        path = Path(folder) / ITEMS
        names = read_json(path)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DaedalError(f"{path} is no list of names", "Restore it from a copy")
        return cls(names)
