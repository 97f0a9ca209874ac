"""What tables beside clips say of them: their captions and classes, by the names of their files."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from daedal.data.document import Note
from daedal.data.fields import match
from daedal.data.filetypes import FileType
from daedal.data.images.kinds import without_end
from daedal.data.images.records import FILES
from daedal.data.images.tables import CAPTIONS, LABELS
from daedal.data.rows import Chosen, Read, Row, read_chosen, rows_in
from daedal.data.sources import Item

USUAL = {"file": (*FILES, "video", "clip"), "caption": CAPTIONS, "label": LABELS}
TABLES = frozenset(("csv", "tsv", "jsonl", "json"))


class Said(NamedTuple):
    """What is said of a clip."""

    caption: str | None = None
    label: str | None = None


class ClipTables:
    """The rows of all tables in sources.

    Attributes:
        notes: which columns were taken.
    """

    def __init__(self, items: Sequence[Item], asked: dict[str, str], encoding: str | None) -> None:
        self._said: dict[str, Said] = {}
        self.notes: list[Note] = []
        self._asked = asked
        for item in items:
            for found in read_chosen(item, encoding, self._columns, _read):
                if isinstance(found, Chosen) and "file" in found.choice:
                    cells = {name: _text(found.row.values.get(column)) for name, column in found.choice.items()}
                    if (name := cells.pop("file")) is not None:
                        self._said.setdefault(_key(name), Said(**cells))

    def of(self, label: str) -> Said:
        """What is said of the clip of this label: by the longest end of its path that a table has."""
        parts = _key(label).split("/")
        found = (self._said.get("/".join(parts[begin:])) for begin in range(len(parts)))
        return next((each for each in found if each is not None), Said())

    def __len__(self) -> int:
        return len(self._said)

    def _columns(self, rows: Sequence[Row]) -> dict[str, str]:
        names = list(dict.fromkeys(name for row in rows for name in row.values))
        chosen = match(names, USUAL, self._asked)
        if "file" not in chosen or len(chosen) < 2:
            return {}
        told = ", ".join(f"{name} from {column!r}" for name, column in chosen.items() if name != "file")
        self.notes.append(Note(f"{rows[0].label} speaks of the clips: {told}"))
        return chosen


def _read(label: str, stream: BinaryIO, type_: FileType) -> Iterator[Read]:
    """The rows of tables; nothing of other files."""
    if type_.reader in TABLES:
        yield from rows_in(label, stream, type_)


def _key(name: str) -> str:
    path = re.sub(r"[!\\]", "/", name).removeprefix("./")
    return without_end(path)


def _text(value: Any) -> str | None:
    return " ".join(str(value).split()) or None if value is not None else None
