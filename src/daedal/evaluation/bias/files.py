"""The rows of a file, each with its line, so that a mistake is told where it stands."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from daedal.errors import DaedalError
from daedal.files import read_bytes
from daedal.printable import printable

_MOST = 2**30


class Row(NamedTuple):
    """A row of a file.

    Attributes:
        where: the file and the line, as a message begins.
    """

    where: str
    values: dict[str, Any]

    def text(self, name: str) -> str:
        """What stands in a column.

        Raises:
            DaedalError: there is no such column, or something else than text stands there.
        """
        found = self.of(name, str)
        assert isinstance(found, str)
        return found

    def of(self, name: str, *types: type) -> Any:
        """What stands in a column, of one of some types.

        Raises:
            DaedalError: there is no such column, or something else stands there.
        """
        if name not in self.values:
            there = ", ".join(printable(str(each))[:40] for each in list(self.values)[:8]) or "nothing"
            raise DaedalError(f"{self.where}: there is no {name}", f"Give a file that has it; this one has {there}")
        found = self.values[name]
        if not isinstance(found, types) or (isinstance(found, bool) and bool not in types):
            wanted = " or ".join(_NAMES[each] for each in types)
            raise DaedalError(f"{self.where}, {name}: {printable(repr(found))[:60]} is no {wanted}", "Correct it")
        return found


_NAMES: dict[type, str] = {str: "text", int: "whole number", float: "number", list: "list", dict: "object"}


def text_of(path: Path) -> str:
    """A file as text.

    Raises:
        DaedalError: it cannot be read, or is no text in UTF-8.
    """
    raw = read_bytes(path, _MOST)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DaedalError(f"{path}, line {line}: this is no text in UTF-8", "Give a text file") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DaedalError(f"{path}, line {line}: this is no text, but binary", "Give a text file")
    if not text.strip():
        raise DaedalError(f"{path} is empty", "Give a file with something in it")
    return text


def parsed(text: str, where: str) -> Any:
    """A text as JSON.

    Raises:
        DaedalError: it is none.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise DaedalError(f"{where}: nested too deeply", "Make it flatter") from None
    except ValueError as error:
        column = getattr(error, "colno", 1)
        raise DaedalError(f"{where}, column {column}: this is not JSON", "Correct it there") from None


def json_lines(path: Path) -> Iterator[Row]:
    """The objects of a file of JSON Lines.

    Raises:
        DaedalError: it cannot be read, or a line is no object.
    """
    for number, line in enumerate(io.StringIO(text_of(path), newline=None), 1):
        if line.strip():
            where = f"{path}, line {number}"
            found = parsed(line, where)
            if not isinstance(found, dict):
                raise DaedalError(f"{where}: this is no object", 'Write each line as {"column": "value"}')
            yield Row(where, found)


def csv_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV file under its head, or of a TSV file.

    Args:
        columns: that it must have.

    Raises:
        DaedalError: it cannot be read, lacks a column, or a row has too many or too few cells.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    reader = csv.reader(io.StringIO(text_of(path), newline=""), delimiter=delimiter, strict=True)
    try:
        head = next(reader)
        if lacking := [name for name in columns if name not in head]:
            shown = ", ".join(printable(name)[:40] for name in head[:8])
            raise DaedalError(
                f"{path}, line 1: there is no column {', '.join(lacking)}",
                f"Give a file that has it; this one has {shown}",
            )
        for cells in reader:
            if len(cells) != len(head):
                if not any(cells):
                    continue
                raise DaedalError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells under {len(head)} columns", "Correct that row"
                )
            yield Row(f"{path}, line {reader.line_num}", dict(zip(head, cells, strict=True)))
    except csv.Error as error:
        raise DaedalError(f"{path}, line {reader.line_num}: {error}", "Correct that row") from None


def rows(path: Path, columns: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a CSV, TSV or JSON Lines file, by its name.

    Raises:
        DaedalError: as `csv_rows` and `json_lines`, or the name says neither.
    """
    kind = path.suffix.lower()
    if kind in (".csv", ".tsv"):
        yield from csv_rows(path, columns)
    elif kind in (".jsonl", ".ndjson"):
        yield from json_lines(path)
    else:
        raise DaedalError(f"{path} is no file of rows", "Name it .csv, .tsv or .jsonl")
