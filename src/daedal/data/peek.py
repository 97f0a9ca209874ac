"""A look into sources, by which kinds tell whether they are theirs: names of files, and the first rows of a few."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO, Self, cast

from daedal.data import archives
from daedal.data.document import Lost
from daedal.data.filetypes import FileType, file_type, inner_name
from daedal.data.readers import walk
from daedal.data.rows import Row, Whole, rows_in
from daedal.data.sources import Item, Named
from daedal.errors import DaedalError

_FILES = 24  # looked into: the first of each end of a name, then the first
_MEMBERS = 24  # of an archive
_ROWS = 50
_HEAD = 2**16  # bytes of a file that is no table
_TABLES = frozenset(("jsonl", "json", "csv", "tsv", "parquet"))
_NAMES = 16_000  # the first class of IMDB has 12,500 texts
_LETTERS = re.compile(r"[^\W\d_]{2}")
_LOOKED_AT = 100_000
_WORDY = 0.05


@dataclass(frozen=True)
class Peek:
    """A file, or a member of an archive, and how it begins.

    Attributes:
        label: as shown to people.
        type: by the end of its name.
        rows: its first rows; none where it is no table.
        whole: the text and the JSON value of what is no table, unless it is large.
    """

    label: str
    type: FileType
    rows: list[dict[str, Any]] = field(default_factory=list)
    whole: Whole | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    def says(self) -> bool:
        """Whether it has text: of a table, cells with letters; of JSON that is no table, more than numbers and brackets."""
        if self.rows:
            return any(
                isinstance(cell, str | bytes) and _LETTERS.search(str(cell))
                for row in self.rows
                for cell in row.values()
            )
        if self.whole is None or self.whole.value is None:
            return True
        letters = sum(map(str.isalpha, self.whole.text[:_LOOKED_AT]))
        return letters > _WORDY * len(self.whole.text[:_LOOKED_AT])


class Sources:
    """What the user named, to be looked at by all kinds; nothing is read twice."""

    def __init__(self, named: Sequence[Named]) -> None:
        self.given = [each.source for each in named]
        self.items = [item for each in named for item in each.items]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Self:
        """A look into some files."""
        return cls([Named(source="", role="train", items=tuple(items))])

    @cached_property
    def names(self) -> list[str]:
        """The labels of the files and of what is in archives, without an end that says that they are compressed: the first ones
        of very many."""
        files = (item for item in self.items if item.kind not in ("hub", "pictures", "functions"))
        return list(islice((_plain(name) for item in files for name in _members(item)), _NAMES))

    @cached_property
    def peeks(self) -> list[Peek]:
        """A look into a few of them."""
        return [peek for item in self._chosen() for peek in islice(_peeks(item), _MEMBERS)]

    @cached_property
    def tables(self) -> list[Peek]:
        """Those that have rows."""
        return [peek for peek in self.peeks if peek.rows]

    def _chosen(self) -> list[Item]:
        firsts = {_plain(item.label).rpartition(".")[2].lower(): item for item in reversed(self.items)}
        chosen = {id(item): item for item in [*firsts.values(), *self.items[:_FILES]]}
        return list(islice(chosen.values(), _FILES))


def _plain(label: str) -> str:
    return inner_name(label) if file_type(label).reader == "compressed" else label


def _members(item: Item) -> Iterator[str]:
    """The labels of what is in an archive; else that of the file."""
    packed = file_type(_plain(item.label)).reader
    if item.kind != "file" or packed not in ("zip", "tar"):
        yield item.label
        return
    budget = archives.Budget(0)  # a few MB are unpacked to see the names of a tar archive
    try:
        with open(item.path, "rb") as stream:
            opened = stream if packed == "zip" else cast(BinaryIO, archives.Metered(stream, budget))
            for name in walk(item.label, opened, item.bytes, lambda label, _, __: iter((label,)), budget=budget):
                if not isinstance(name, Lost):
                    yield name
    except (OSError, archives.BombError, DaedalError):
        return


def _peeks(item: Item) -> Iterator[Peek]:
    if item.kind == "hub":
        from daedal.data.hub import open_hub

        try:
            with open_hub(item.path, every=True) as splits:
                for label, rows in splits.items():
                    yield Peek(label, file_type("rows.parquet"), list(islice(rows, _ROWS)))
        except DaedalError:
            return  # the build says what is wrong
        return
    if item.kind != "file":
        return

    def look(label: str, stream: Any, type_: FileType) -> Iterator[Peek]:
        rows: list[dict[str, Any]] = []
        whole = None
        if type_.reader not in _TABLES:
            head = stream.read(_HEAD)
            cut = head.rfind(b"\n") + 1 if len(head) == _HEAD else 0
            stream = BytesIO(head[: cut or None])
        for found in rows_in(label, stream, type_):
            if isinstance(found, Row):
                rows.append(dict(found.values))
            elif isinstance(found, Whole):
                whole = found
            if len(rows) == _ROWS:
                break
        yield Peek(label, type_, rows, whole)

    try:
        with open(item.path, "rb") as stream:
            for found in walk(item.label, stream, item.bytes, look):
                if not isinstance(found, Lost):
                    yield found
    except (OSError, archives.BombError, DaedalError):
        return
