"""Rows of JSON Lines and of JSON files that hold a list; JSON of another form is text, as any source is."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

from daedal.data.decode import Decoder
from daedal.data.document import Coded, Event, Lost, Note, Raw
from daedal.data.fields import named_split
from daedal.data.filetypes import FileType
from daedal.data.plain_text import lines_of, read_whole
from daedal.data.rejoined import Rejoined
from daedal.data.tables import GUESS_ROWS, guess_field, nested, rows_of

_HEAD = 2**20
_WRAPPERS = frozenset(
    ("data", "rows", "examples", "documents", "items", "records", "entries", "samples", "instances", "texts", "train")
)
_BETWEEN = re.compile(r"[\s,]*")
_VALUES = json.JSONDecoder()


def jsonl_rows(label: str, stream: BinaryIO, decoder: Decoder) -> Iterator[Mapping[str, Any] | Lost]:
    """The rows of JSON Lines: an object, or a string, a line. A line may also hold several, or a list of them."""
    for number, line in enumerate(lines_of(stream, decoder), 1):
        why = None
        try:
            value = _VALUES.decode(line)
            if isinstance(value, dict):
                yield value
                continue
            values = [value]
        except (ValueError, RecursionError):
            values, end = _values(line)
            why = "is not JSON" if end < len(line) else None
        found = [row for value in values for row in (value if isinstance(value, list) else (value,))]
        yield from (_row(row) for row in found if isinstance(row, dict | str))
        if not all(row is None or isinstance(row, dict | str) for row in found):
            why = "is not an object"
        if why is not None:
            yield Lost(label, "broken JSON line", f"line {number} {why}", len(line), broken=False)


def read_jsonl(label: str, stream: BinaryIO, field: str | None, encoding: str | None) -> Iterator[Event]:
    """Documents from JSON Lines."""
    bad: list[Lost] = []
    decoder = Decoder(encoding)

    def rows() -> Iterator[Mapping[str, Any]]:
        for row in jsonl_rows(label, stream, decoder):
            if isinstance(row, Lost):
                bad.append(row)
            else:
                yield row

    for event in rows_of(label, rows(), field, "JSON Lines"):
        yield event
        yield from bad
        bad.clear()
    yield from bad
    yield Coded(label, decoder.encoding, decoder.replaced)


def read_json(
    label: str, stream: BinaryIO, type_: FileType, field: str | None, encoding: str | None
) -> Iterator[Event]:
    """Documents from a JSON file: the rows of a list of objects or strings, or of JSON Lines; else its source, as text."""
    head = stream.read(_HEAD)
    whole = Rejoined(head, stream)
    if looks_like_lines(Decoder(encoding).decode(head)):
        yield from read_jsonl(label, cast(BinaryIO, whole), field, encoding)
        return
    decoder = Decoder(encoding)
    text = decoder.decode(read_whole(cast(BinaryIO, whole)), final=True)
    rows, told = _rows(label, text)
    first = [_row(row) for row in rows[:GUESS_ROWS] if row is not None]
    chosen = field or guess_field(first)
    inner = nested(first, chosen or "") if field is None else None
    yield from told
    if inner is not None:  # beside others such a file is left out, alone it is an error
        fix = f"--field {chosen} takes {chosen!r} all the same" if chosen else "make rows with a field of text of it"
        yield Lost(label, "no text", f"most is in the lists or objects of {inner!r}; {fix}", len(text))
    elif first and chosen is not None:
        yield from rows_of(label, map(_row, rows), field, type_.name)
    else:
        if first:
            yield Note(f"the objects of {label} have no field with text: taken as one text")
        yield Raw(label, -1, text, type_.form, f"{type_.name} source")
    yield Coded(label, decoder.encoding, decoder.replaced)


def _row(value: Any) -> Mapping[str, Any]:
    """A row as a mapping: a text that stands for itself is its own field."""
    return value if isinstance(value, dict) else {"text": value}


def looks_like_lines(text: str) -> bool:
    """Whether a text begins with two lines that are each an object, or begin one."""
    lines = [line for line in text.split("\n", 3)[:3] if line.strip()]
    if len(lines) < 2 or not lines[1].lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(lines[0]), dict)
    except (ValueError, RecursionError):
        return False


def json_tables(label: str, text: str) -> tuple[dict[str, list[Mapping[str, Any] | Lost]], list[Lost | Note]]:
    """The rows in a JSON text as mappings, by the label of their table, and what is to be told. Each split may be one."""
    value = json_value(text) if text.lstrip()[:1] == "{" else None
    if (
        isinstance(value, dict)
        and len(value) > 1
        and all(named_split(name) and _are_rows(value[name]) for name in value)
    ):
        return {f"{label}!{name}": [_row(row) for row in rows if row is not None] for name, rows in value.items()}, []
    rows, told = _rows(label, text)
    return ({label: [_row(row) for row in rows if row is not None]} if rows else {}), told


def json_value(text: str) -> Any:
    """The value of a JSON text; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(row is None or isinstance(row, dict | str) for row in value)


def _rows(label: str, text: str) -> tuple[list[Any], list[Lost | Note]]:
    """The rows in a JSON text, none where it has no list of them; and what is to be told."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        begin = len(text) - len(text.lstrip())
        if not text.startswith("[", begin):
            return [], [Note(f"{label} is not valid JSON: taken as text")]
        value, end = _values(text, begin + 1)
        if not value:
            return [], [Note(f"{label} is not valid JSON: taken as text")]
        rest = f"no JSON from character {end:,} on: the rows before it are read"
        return value, [Lost(label, "broken JSON", rest, len(text) - end, broken=False)]
    if isinstance(value, dict):
        lists = [name for name, each in value.items() if name.lower() in _WRAPPERS and isinstance(each, list) and each]
        if len(lists) != 1:
            return [], []
        value = value[lists[0]]
        told: list[Lost | Note] = [Note(f"rows taken from the list {lists[0]!r} of {label}")]
    else:
        told = []
    return (value, told) if _are_rows(value) else ([], [])


def _values(text: str, begin: int = 0) -> tuple[list[Any], int]:
    """JSON values with nothing but spaces and commas between them, and where the last whole one ends."""
    values, place = list[Any](), begin
    while (start := _BETWEEN.match(text, place).end()) < len(text):  # type: ignore[union-attr]
        try:
            value, place = _VALUES.raw_decode(text, start)
        except (ValueError, RecursionError):
            return values, place
        values.append(value)
    return values, len(text)
