"""The bytes of a table about pictures -> its rows: CSV and its kin, JSON, JSON Lines, COCO's JSON, Parquet.

A row that cannot be read is left out, and told with its line; a table is refused where none can.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from daedal.data.decode import decode
from daedal.data.images.kinds import kind_of
from daedal.errors import DaedalError

FILES = (
    "file", "file_name", "filename", "image", "image_path", "img", "path", "picture", "photo", "name", "id", "image_id",
)  # fmt: skip
"""Usual names of the column that names pictures."""
_DELIMITERS = ",;\t|"
_NAN = ("nan", "NaN")
_BETWEEN = re.compile(r"[\s,\[\]]*")  # what may stand between the objects of JSON Lines, or of an array

Row = Mapping[str, str]


@dataclass
class Records:
    """What could be read of a table.

    Attributes:
        notes: what could not, and what was decided, in words.
    """

    label: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _bad: list[str] = field(default_factory=list)

    def refuse(self, line: int, why: str) -> None:
        """Leave a row out."""
        self._bad.append(f"line {line} {why}")

    def close(self) -> None:
        """Tell what was left out.

        Raises:
            DaedalError: that is everything.
        """
        if not self.rows:
            what = f"cannot be read: {self._bad[0]}" if self._bad else "has no rows"
            raise DaedalError(f"{self.label} {what}", "Give a table with a row for each picture")
        if self._bad:
            self.notes.append(
                f"{self.label}: {len(self._bad):,} rows cannot be read and were left out, the first: {self._bad[0]}"
            )


def read_records(label: str, name: str, data: bytes) -> Records:
    """The rows of a table.

    Args:
        label: where it is, as shown to people.
        name: of its file, whose end says its kind.
        data: its bytes.

    Raises:
        DaedalError: no row of it can be read.
    """
    records = Records(label)
    if kind_of(name) == "parquet":
        _read_parquet(records, data)
    else:
        text = decode(data, mend=False).text
        if name.lower().endswith(("json", "jsonl", "ndjson")) or text.lstrip()[:1] == "{":
            _read_json(records, text)
        else:
            _read_delimited(records, text)
    records.close()
    return records


def _cell(value: Any) -> str:
    """A value as a cell of CSV would say it; nothing for null and NaN, and of several the first."""
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):  # half of a surrogate pair, which JSON can say, is no character
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return json.dumps(value) if isinstance(value, bool | Mapping) else str(value)


def _row(value: Mapping[str, Any]) -> Row:
    return {name: _cell(each) for name, each in value.items()}


# -- JSON --------------------------------------------------------------------------------------------------------------


def _read_json(records: Records, text: str) -> None:
    """Objects one after the other, on a line each or not, or in an array; or one object that holds them."""
    objects: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    place = line = told = 0
    while (begin := _BETWEEN.match(text, place).end()) < len(text):  # type: ignore[union-attr] # it matches nothing too
        try:
            value, place = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            objects.append(value)
            continue
        line, told = line + text.count("\n", told, begin), begin
        records.refuse(line + 1, "is not a JSON object")
        place = text.find("\n", begin) + 1 or len(text)
    if len(objects) == 1:
        objects = _inside(records, objects[0])
    records.rows += map(_row, objects)


def _inside(records: Records, value: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that one object holds: COCO's, those under its only list, those under the name of each picture; or itself."""
    lists = [
        each for each in value.values() if isinstance(each, list) and each and all(isinstance(x, dict) for x in each)
    ]
    if {"images", "annotations"} <= value.keys() and len(lists) >= 2:
        return _coco(records, value)
    if len(lists) == 1:
        return lists[0]
    if value and all(isinstance(each, dict) for each in value.values()):
        return [{"file": name, **each} for name, each in value.items()]
    if any(kind_of(name) == "picture" for name in value):
        return [{"file": name, "caption": each} for name, each in value.items()]
    return [value]


def _coco(records: Records, value: dict[str, Any]) -> list[dict[str, Any]]:
    """COCO's pictures, each with its first caption, and the category of its objects where they have only one."""
    names = {each.get("id"): each.get("name") for each in value.get("categories") or () if isinstance(each, dict)}
    captions: dict[Any, str] = {}
    classes: dict[Any, set[Any]] = {}
    for each in value["annotations"]:
        of = each.get("image_id")
        if isinstance(each.get("caption"), str):
            captions.setdefault(of, each["caption"])
        if (category := each.get("category_id")) in names:
            classes.setdefault(of, set()).add(names[category])
    if several := sum(len(each) > 1 for each in classes.values()):
        records.notes.append(f"{records.label}: {several:,} pictures show things of several categories: no class")
    rows = []
    for each in value["images"]:
        found = classes.get(each.get("id"), set())
        row = {**each}
        if captions:
            row["caption"] = captions.get(each.get("id"))
        if classes:
            row["label"] = next(iter(found)) if len(found) == 1 else None
        rows.append(row)
    return rows


# -- Parquet -----------------------------------------------------------------------------------------------------------


def _read_parquet(records: Records, data: bytes) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        records.rows += map(_row, parquet.read_table(io.BytesIO(data)).to_pylist())
    except pa.ArrowException as error:
        raise DaedalError(f"{records.label} cannot be read ({str(error).splitlines()[0][:200]})", "Repair it") from None


# -- CSV ---------------------------------------------------------------------------------------------------------------


def _read_delimited(records: Records, text: str) -> None:
    lines = list(io.StringIO(text, newline=""))
    if not lines:
        return
    delimiter = _delimiter(lines[0])
    names: list[str] | None = None
    for line, cells in _cells(records, lines, delimiter):
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if names is None:
            names = cells
            if not any(kind_of(name) == "picture" for name in names):
                continue
            names = ["file", "label", *(str(number) for number in range(2, len(cells)))][
                : len(cells)
            ]  # no line of names
        if any(cells[len(names) :]):
            records.refuse(line, f"has {len(cells)} cells for {len(names)} columns: quote what holds {delimiter!r}")
        else:
            records.rows.append({name: "" if cell in _NAN else cell for name, cell in zip(names, cells, strict=False)})


def _delimiter(line: str) -> str:
    """What parts the cells of a first line: what gives a cell that names pictures, or is one, else the most frequent."""

    def names_pictures(delimiter: str) -> bool:
        cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
        return any(cell.lower() in FILES or kind_of(cell) == "picture" for cell in cells)

    able = [each for each in _DELIMITERS if each in line]
    return next((each for each in able if names_pictures(each)), max(_DELIMITERS, key=line.count))


def _cells(records: Records, lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row with the number of its line; a row with quotation marks that do not close is one line."""
    first = 0
    while first < len(lines):
        reader = csv.reader((lines[number] for number in range(first, len(lines))), delimiter=delimiter, strict=True)
        done = 0
        try:
            for cells in reader:
                yield first + done + 1, cells
                done = reader.line_num
            return
        except csv.Error:
            if delimiter == "\t":  # whose quotation marks are often only that
                yield first + done + 1, lines[first + done].rstrip("\r\n").split("\t")
            else:
                records.refuse(first + done + 1, "has a quotation mark that is not closed, or not doubled")
            first += done + 1
