"""Tables about pictures: which of their rows is about which picture.

A row names a picture by its path, by the end of its path or by its name, with `.png` or without. Where the row's path is the
longer one, as `/home/me/set/cat/1.png`, its end is compared. Unicode is compared in its form NFC; where nothing fits so, case
does not count, and `%20` is a space.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from daedal.data.images.kinds import kind_of, without_end
from daedal.data.images.origin import Origin
from daedal.data.images.records import FILES, Row, read_records
from daedal.errors import DaedalError

LABELS = (
    "label",
    "class",
    "category",
    "target",
    "labels",
    "fine_label",
    "coarse_label",
    "class_name",
    "style",
    "breed",
)
CAPTIONS = ("caption", "text", "captions", "description", "prompt", "sentence", "title")
_ENDS = (".csv", ".jsonl", ".json", ".parquet")
USUAL = frozenset(f"{name}{end}" for name in ("captions", "metadata") for end in _ENDS)
_ABSOLUTE = re.compile(r"[/\\]|[a-z]:[/\\]|[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True)
class Rows:
    """The rows of one table.

    Attributes:
        label: where it is, as shown to people.
        columns: their names.
        names: what each row calls its picture.
        notes: what could not be read.
    """

    label: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Matched:
    """The rows of one table, and the pictures that they are about.

    Attributes:
        of: the row of each picture that has one, by the picture's place.
        notes: what a person should know.
    """

    table: Rows
    of: dict[int, Row] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_rows(label: str, name: str, data: bytes, file_column: str | None) -> Rows:
    """The rows of a table.

    Args:
        label: where it is, as shown to people.
        name: of its file, whose end says its kind.
        data: its bytes.
        file_column: the column that names pictures; guessed where not given.

    Raises:
        DaedalError: no row of it can be read, or none of its columns names pictures.
    """
    records = read_records(label, name, data)
    columns = tuple(dict.fromkeys(name for row in records.rows for name in row))
    chosen = choose_column(label, columns, file_column, FILES, "--file-column")
    if chosen is None:
        chosen = next((name for name in columns if kind_of(records.rows[0].get(name, "")) == "picture"), None)
    if chosen is None:
        raise DaedalError(
            f"{label} has no column with the names of pictures (its columns: {', '.join(columns[:20])})",
            "Name it with --file-column",
        )
    names = tuple(row.get(chosen, "") for row in records.rows)
    return Rows(label, columns, names, tuple(records.rows), tuple(records.notes))


def choose_column(
    label: str, columns: Sequence[str], wanted: str | None, usual: Iterable[str], option: str
) -> str | None:
    """The column that was named, else the first of a usual name, if there is one.

    Raises:
        DaedalError: the one that was named is not there.
    """
    if wanted is not None:
        if wanted not in columns:
            raise DaedalError(
                f"{label} has no column {wanted!r}", f"Choose one of its columns with {option}: {', '.join(columns)}"
            )
        return wanted
    lowered = {name.lower(): name for name in reversed(columns)}
    return next((lowered[name] for name in usual if name in lowered), None)


def match(table: Rows, pictures: dict[int, Origin]) -> Matched:
    """Find the row of each picture.

    Args:
        table: the rows.
        pictures: by their places, those that the table speaks of.

    Raises:
        DaedalError: a row names several pictures: their classes would be guesses.
    """
    return _Matching(table, pictures).run()


class _Matching:
    """The rows of one table on their way to the pictures that they name."""

    def __init__(self, table: Rows, pictures: dict[int, Origin]) -> None:
        self.table = table
        self.result = Matched(table, notes=list(table.notes))
        self.pictures = pictures
        first: dict[str, int] = {}
        for row, name in enumerate(table.names):
            first.setdefault(_path(name), row)
        self.again = len(table.names) - len(first)
        first.pop("", None)
        self.rows = set(first.values())  # that are not used yet
        self.unclear: set[int] = set()

    def run(self) -> Matched:
        """Match what fits exactly, then what fits loosely."""
        for path, loosely in ((_path, False), (_loose_path, True)):
            if not self.rows or len(self.result.of) == len(self.pictures):
                break
            keys = {row: path(self.table.names[row]) for row in sorted(self.rows)}
            paths = {place: path(origin.path) for place, origin in self.pictures.items() if place not in self.result.of}
            self._take(self._named(keys, paths), loosely, "in other letters (their case, or %20)" if loosely else "")
            paths = {place: each for place, each in paths.items() if place not in self.result.of}
            self._take(self._ending(keys, paths), loosely, "by the end of their paths")
        self._tell()
        return self.result

    def _named(self, keys: dict[int, str], paths: dict[int, str]) -> dict[int, list[int]]:
        """The pictures of each row that names them by their paths, or the ends of these."""
        rows: dict[str, int] = {}
        for row, key in keys.items():
            rows.setdefault(key, row)
        found: dict[int, list[int]] = {}
        for place, path in paths.items():
            named = next((rows[end] for end in _ends_of(path) if end in rows), None)
            if named is not None:
                found.setdefault(named, []).append(place)
        return found

    def _ending(self, keys: dict[int, str], paths: dict[int, str]) -> dict[int, list[int]]:
        """Of each row with a longer path its pictures: it ends with their path, or is absolute and shares its end."""
        ends: dict[str, list[int]] = {}
        for row, key in keys.items():
            if paths and row in self.rows:
                parts = key.split("/")
                for first in range(1, len(parts)):
                    ends.setdefault("/".join(parts[first:]), []).append(row)
        longest: dict[int, tuple[int, list[int]]] = {}
        for place, path in paths.items():
            whole = (path, without_end(path))
            for key in _ends_of(path):
                rows = [row for row in ends.get(key, ()) if key in whole or _ABSOLUTE.match(self.table.names[row])]
                if len(rows) > 1:
                    self.unclear.add(place)
                elif rows:
                    length, places = longest.get(rows[0], (0, []))
                    mine = key.count("/") + 1
                    if mine >= length:
                        longest[rows[0]] = (mine, [place] if mine > length else [*places, place])
                if rows:
                    break
        return {row: places for row, (_, places) in longest.items()}

    def _take(self, found: dict[int, list[int]], loosely: bool, how: str) -> None:
        taken = []
        for row, places in found.items():
            if len(places) == 1:
                self.result.of[places[0]] = self.table.rows[row]
                self.rows.discard(row)
                taken.append((self.table.names[row], self.pictures[places[0]]))
            elif not loosely:
                raise DaedalError(
                    f"{self.table.label} names {self.table.names[row]!r}, which is {len(places)} pictures",
                    "Write more of their paths",
                )
        if taken and how:
            name, picture = taken[0]
            self.result.notes.append(
                f"{self.table.label}: {len(taken):,} rows were matched {how}, as {name} with {picture}"
            )

    def _tell(self) -> None:
        label, notes = self.table.label, self.result.notes
        if unclear := sorted(self.unclear - self.result.of.keys()):
            notes.append(
                f"{label}: {len(unclear):,} pictures could be those of several rows, and have none, as"
                f" {self.pictures[unclear[0]]}"
            )
        if self.rows:
            first = self.table.names[min(self.rows)]
            notes.append(f"{label}: {len(self.rows):,} rows name pictures that are not there, as {first}")
        if self.again:
            notes.append(f"{label}: {self.again:,} rows name a picture again; the first row of each is used")


def _path(name: str) -> str:
    """A path as it is compared."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/")
    if "://" in name:
        name = re.split(r"[?#]", name.partition("://")[2], maxsplit=1)[0]
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _loose_path(name: str) -> str:
    return unicodedata.normalize("NFC", unquote(_path(name)).casefold())


def _ends_of(path: str) -> Iterator[str]:
    """What a table may call a picture: `a/b/cat.png`, `b/cat.png`, `cat.png`, and the same without `.png`."""
    parts = path.split("/")
    paths = ["/".join(parts[first:]) for first in range(len(parts))]
    yield from paths
    yield from map(without_end, paths)
