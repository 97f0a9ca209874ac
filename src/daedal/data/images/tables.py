"""What files say about pictures: CSV, TSV and JSON Lines with a row for each, matched by the names of the pictures."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from daedal.data.decode import decode
from daedal.data.images.kinds import kind_of, path_of, without_end
from daedal.errors import DaedalError

FILES = (
    "file", "file_name", "filename", "image", "image_path", "img", "path", "picture", "photo", "name", "id", "image_id",
)  # fmt: skip
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
USUAL = frozenset(("captions.csv", "metadata.csv", "metadata.jsonl", "captions.jsonl"))
_DELIMITERS = ("\t", ";", ",")

Row = Mapping[str, str]


@dataclass
class Rows:
    """The rows of one file.

    Attributes:
        label: its name, as shown to people.
        columns: their names.
        by_file: the row for each name of a picture.
        again: rows that name a picture which an earlier row names.
        used: the names that were found among the pictures.
    """

    label: str
    columns: tuple[str, ...]
    by_file: dict[str, Row]
    again: int = 0
    used: set[str] = field(default_factory=set)

    def of(self, name: str) -> Row | None:
        """The row of a picture: the one that names most of its path, with the end of its name or without."""
        for key in keys_of(name):
            if key in self.by_file:
                self.used.add(key)
                return self.by_file[key]
        return None

    def unused(self) -> list[str]:
        """Names in it that are no pictures."""
        return [name for name in self.by_file if name not in self.used]


def read_rows(label: str, data: bytes, file_column: str | None) -> Rows:
    """The rows of a table.

    Args:
        label: its name, as shown to people.
        data: its bytes.
        file_column: the column that names pictures; guessed where not given.

    Raises:
        DaedalError: it has no rows, or none of its columns names pictures.
    """
    text = decode(data, mend=False).text
    end = label.lower().rsplit(".", 1)[-1]
    rows = list(_json_lines(label, text) if end in ("jsonl", "ndjson") else _delimited(text))
    if not rows:
        raise DaedalError(f"{label} has no rows", "Give a table with a row for each picture")
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    chosen = choose_column(label, columns, file_column, FILES, "--file-column")
    if chosen is None:
        chosen = next((name for name in columns if kind_of(rows[0].get(name, "")) == "picture"), None)
    if chosen is None:
        raise DaedalError(
            f"{label} has no column with the names of pictures (its columns: {', '.join(columns[:20])})",
            "Name it with --file-column",
        )
    by_file: dict[str, Row] = {}
    again = 0
    for row in rows:
        name = "/".join(part for part in row.get(chosen, "").replace("\\", "/").split("/") if part not in ("", "."))
        if name in by_file:
            again += 1
        elif name:
            by_file[name] = row
    return Rows(label, columns, by_file, again)


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


def keys_of(name: str) -> Iterator[str]:
    """What a table may call a picture: `a/b/cat.png`, `b/cat.png`, `cat.png`, and the same without `.png`."""
    parts = path_of(name)
    paths = ["/".join(parts[first:]) for first in range(len(parts))]
    yield from paths
    yield from (without_end(path) for path in paths)


def container_of(label: str) -> str:
    """What a table in the sources speaks of: everything in its archive, or below its folder."""
    archive, mark, inside = label.rpartition("!")
    if mark:
        return f"{archive}!"
    return label[: label.rfind("/") + 1] if "/" in inside else ""


def ambiguous(rows: Rows, names: Iterable[str]) -> tuple[str, int] | None:
    """A name in the table that is more than one picture, and how many; their classes would be guesses."""
    counts: Counter[str] = Counter()
    for name in names:
        for key in keys_of(name):
            if key in rows.by_file:
                counts[key] += 1
                break
    key, count = max(counts.items(), key=lambda pair: pair[1], default=("", 0))
    return (key, count) if count > 1 else None


def _json_lines(label: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines()):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise DaedalError(f"{label}: line {number + 1} is not a JSON object", "Correct that line")
        # of several captions of one picture the first stands for them
        firsts = {name: (each[0] if each else None) if isinstance(each, list) else each for name, each in value.items()}
        yield {name: "" if each is None else str(each) for name, each in firsts.items()}


def _delimited(text: str) -> Iterator[Row]:
    head = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        first = next(reader, None)
        if first is None:
            return
        names = [cell.strip() for cell in first]
        if any(kind_of(name) == "picture" for name in names):  # no line of names: the file, and its label
            names = ["file", "label", *(str(number) for number in range(2, len(first)))][: len(first)]
            yield dict(zip(names, first, strict=True))
        for cells in reader:
            if any(cells):
                yield {name: cell.strip() for name, cell in zip(names, cells, strict=False)}
    except csv.Error as error:
        raise DaedalError(f"A table cannot be read ({error})", "Correct it") from None
