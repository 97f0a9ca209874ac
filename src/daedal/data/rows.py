"""The rows of a file, whatever kind of table it is, as mappings from names to values: what kinds of records read.

JSON Lines, JSON that is a list of objects or holds one, CSV and its kin, text that is a table, fastText's lines, Parquet,
datasets of the hub; in archives too. Other text, and JSON of another form, has no rows: it comes whole, as `Whole`, for kinds
that know its form.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar, cast

from daedal.data import archives
from daedal.data.columnar import Columnar, class_names, with_names
from daedal.data.decode import Decoder, is_binary
from daedal.data.delimited import open_csv, separator_of
from daedal.data.document import Coded, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import require
from daedal.data.filetypes import FileType
from daedal.data.hub import open_hub
from daedal.data.json_rows import json_tables, json_value, jsonl_rows, looks_like_lines
from daedal.data.plain_text import lines_of, read_whole
from daedal.data.readers import walk
from daedal.data.rejoined import Rejoined
from daedal.data.sources import Item, read_file
from daedal.data.tables import GUESS_ROWS

_HEAD = 2**20
_CLASSES = re.compile(r"((?:__label__\S+\s+)+)(.*)", re.DOTALL)  # fastText's
T = TypeVar("T")


class Row(NamedTuple):
    """A row of a table.

    Attributes:
        label: the file that it is from, as shown to people.
        number: its place in that file.
        values: its cells by the names of their columns; 0, 1, 2 ... where the table names none.
    """

    label: str
    number: int
    values: Mapping[str, Any]


class Whole(NamedTuple):
    """A file that is no table: its text, and of JSON its value."""

    label: str
    text: str
    value: Any = None


Read = Row | Whole | Lost | Coded | Note


def read_rows(
    item: Item,
    encoding: str | None = None,
    read: Callable[[str, BinaryIO, FileType], Iterator[Read]] | None = None,
) -> Iterator[Read]:
    """What a file holds, row by row; what is broken comes as `Lost`.

    Args:
        read: what a stream holds that is no archive, as `rows_in`, where a kind has files of its own.
    """
    if item.kind == "hub":
        with open_hub(item.path, every=True) as splits:
            for label, rows in splits.items():
                features = getattr(rows, "features", None) or {}
                inner = {name: getattr(each, "feature", each) for name, each in features.items()}
                named = {name: each.names for name, each in inner.items() if getattr(each, "names", None)}
                yield from (Row(label, number, with_names(row, named)) for number, row in enumerate(rows))
        return
    read = read or partial(rows_in, encoding=encoding)
    yield from read_file(item, lambda stream: walk(item.label, stream, item.bytes, read))


class Chosen(NamedTuple, Generic[T]):
    """A row, and what was decided on the first rows of its table."""

    row: Row
    choice: T


def read_chosen(
    item: Item,
    encoding: str | None,
    choose: Callable[[Sequence[Row]], T],
    read: Callable[[str, BinaryIO, FileType], Iterator[Read]] | None = None,
) -> Iterator[Chosen[T] | Whole | Lost | Coded | Note]:
    """What `read_rows` gives; rows with what `choose` makes of the first rows of their table."""
    first: list[Row] = []
    choices: dict[str, T] = {}

    def decided() -> Iterator[Chosen[T]]:
        if first:
            choices[first[0].label] = choose(first)
            yield from (Chosen(row, choices[row.label]) for row in first)
            first.clear()

    for found in read_rows(item, encoding, read):
        if isinstance(found, Row) and found.label in choices:
            yield Chosen(found, choices[found.label])
        elif isinstance(found, Row):
            if first and first[0].label != found.label:
                yield from decided()
            first.append(found)
            if len(first) == GUESS_ROWS:
                yield from decided()
        else:
            yield from decided()
            yield found
    yield from decided()


def read_asked(item: Item, options: ExampleOptions, known: Sequence[str]) -> Iterator[Read]:
    """What `read_rows` gives; tables must have the columns that were asked for.

    Raises:
        DaedalError: one has not, or what was asked for is no column of an example, which are `known`.
    """

    def check(rows: Sequence[Row]) -> None:
        require(rows[0].label, dict.fromkeys(name for row in rows for name in row.values), options.columns, known)

    for found in read_chosen(item, options.encoding, check):
        yield found.row if isinstance(found, Chosen) else found


def rows_in(label: str, stream: BinaryIO, type_: FileType, encoding: str | None = None) -> Iterator[Read]:
    """What a stream holds that is no archive."""
    if type_.reader == "parquet":
        yield from _parquet(label, archives.seekable(stream))
        return
    if type_.reader == "none" and not label.lower().endswith(".dat"):  # what this end means nobody knows
        yield Lost(label, "binary", "not text by its name", broken=False)
        return
    head = stream.read(_HEAD)
    if is_binary(head[:8192]):
        yield Lost(label, "binary", "not text by its first bytes", broken=False)
        return
    whole = cast(BinaryIO, Rejoined(head, stream))
    decoder, begin = Decoder(encoding), Decoder(encoding).decode(head)
    plain = type_.reader in ("text", "none") and type_.form == "prose" and not label.lower().endswith(".log")
    if type_.reader == "jsonl" or (type_.reader == "json" and looks_like_lines(begin)):
        yield from _numbered(label, jsonl_rows(label, whole, decoder))
    elif plain and _CLASSES.match(begin):
        yield from _numbered(label, map(_classed, lines_of(whole, decoder)))
    elif table := type_.name if type_.reader in ("csv", "tsv") else plain and separator_of(begin):
        names, rows, decoder = open_csv(label, whole, table, encoding)
        named = (row if isinstance(row, Lost) else dict(zip(names, row, strict=True)) for row in rows)
        yield from _numbered(label, named)
    else:
        text = decoder.decode(read_whole(whole), final=True)
        tables, told = json_tables(label, text) if type_.reader == "json" else ({}, [])
        for table_of, rows_of_json in tables.items():
            yield from _numbered(table_of, iter(rows_of_json))
        if tables:
            yield from told
        else:
            yield Whole(label, text, json_value(text) if type_.reader == "json" else None)
    yield Coded(label, decoder.encoding, decoder.replaced)


def _numbered(label: str, rows: Iterator[Mapping[str, Any] | Lost]) -> Iterator[Row | Lost]:
    number = 0
    for row in rows:
        if isinstance(row, Lost):
            yield row
        else:
            yield Row(label, number, row)
            number += 1


def _classed(line: str) -> Mapping[str, Any]:
    """A line of fastText's: its classes, and what they are of."""
    found = _CLASSES.match(line)
    classes = found[1].replace("__label__", "").split() if found else []
    return {"label": classes[0] if len(classes) == 1 else classes, "text": (found[2] if found else line).rstrip("\n")}


def _parquet(label: str, stream: BinaryIO) -> Iterator[Read]:
    import pyarrow as pa  # type: ignore[import-untyped]

    number = 0
    try:
        file = Columnar(stream)
        named = {name: names for name in file.schema.names if (names := class_names(file.schema.metadata, name))}
        for batch in file.batches(1024):
            for row in batch.to_pylist():
                yield Row(label, number, with_names(row, named))
                number += 1
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        yield Lost(label, "broken file", (str(error).splitlines() or ["damaged"])[0][:200])
