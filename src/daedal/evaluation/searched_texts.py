"""The texts in which an audit of data looks for secrets and personal data, and where each is.

Of files all of it, before anything is left out as a copy: every column of every row, and what is in archives. Of data that were
built, what is learned.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from daedal.data.document import Raw
from daedal.data.folder import DataFolder
from daedal.data.images.dataset import ImageDataset
from daedal.data.readers import Reading
from daedal.data.rows import Row, Whole, read_rows
from daedal.data.shards import Dataset
from daedal.data.sources import Item, read_item, resolve
from daedal.printable import printable


class SearchedText(NamedTuple):
    """A text, and what a place in it is called."""

    text: str
    place: Callable[[int], str]


def texts_of_files(source: str) -> Iterator[SearchedText]:
    """The texts in whatever `data build` reads.

    Raises:
        DaedalError: it names nothing that is there and can be read.
    """
    for item in resolve(source, "train").items:
        some = False
        if item.kind in ("file", "hub"):
            for text in _rows(item):
                some = True
                yield text
        if not some:  # PDF and the like, and what is made by its name
            for found in read_item(item, Reading()):
                if isinstance(found, Raw):
                    yield SearchedText(found.text, partial(_line, found.label, found.text))


def _rows(item: Item) -> Iterator[SearchedText]:
    for found in read_rows(item):
        if isinstance(found, Row):
            text = "\n".join(_words(found.values))
            yield SearchedText(text, partial(_row, f"{printable(found.label)}, row {found.number + 1:,}"))
        elif isinstance(found, Whole):
            yield SearchedText(found.text, partial(_line, found.label, found.text))


def _words(value: Any) -> Iterator[str]:
    """What stands in a row, without the names of its columns."""
    if isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _words(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _row(row: str, begin: int) -> str:
    return row


def _line(label: str, text: str, begin: int) -> str:
    return f"{printable(label)}:{text.count(chr(10), 0, begin) + 1}"


def texts_of_data(data: DataFolder[Any, Any]) -> Iterator[SearchedText]:
    """Documents, columns of text, and captions."""
    for split in data.manifest.splits:
        part = data.split(split)
        texts: Iterable[tuple[int, str]]
        if isinstance(data, Dataset):
            texts = enumerate(part.text(number) for number in range(part.documents))
        elif isinstance(data, ImageDataset):
            texts = enumerate(part.captions)
        else:
            texts = _columns(data, part)
        for number, text in texts:
            if text:
                yield SearchedText(text, partial(_row, f"{split} {number:,}"))


def _columns(data: Any, part: Any) -> Iterator[tuple[int, str]]:
    for name, record in data.manifest.columns.items():
        column = data.column(name)
        spoken = record.codec in (None, "text", "chat")
        if spoken and record.stored in ("ragged", "strings"):
            for number, value in enumerate(part.values(name)):
                yield number, "" if value is None else column.words(value)
