"""Files that are examples whole, as tunes, recordings and clips: their bytes, in archives and compressed too."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from daedal.data.document import Lost
from daedal.data.filetypes import FileType
from daedal.data.readers import walk
from daedal.data.sources import Item, read_file

T = TypeVar("T")


class Unreadable(Exception):
    """A file that gives no example.

    Attributes:
        reason: as it is counted.
        detail: of this file.
        broken: whether something is wrong with it.
    """

    def __init__(self, reason: str, detail: str, broken: bool = True) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.broken = reason, detail, broken


def read_artifacts(item: Item, read: Callable[[str, str, bytes], Iterator[T]], largest: int) -> Iterator[T | Lost]:
    """What `read` gives of each file of an item.

    Args:
        read: given the label of a file, the end of its name in lower case (`mid`, without a dot) and its bytes.
        largest: bytes; larger files are lost.
    """

    def leaf(label: str, stream: BinaryIO, type_: FileType) -> Iterator[T | Lost]:
        data = stream.read(largest + 1)
        if len(data) > largest:
            yield Lost(label, "too large", f"more than {largest // 2**20} MiB", len(data))
        elif not data:
            yield Lost(label, "empty", "it has no bytes", 0)
        else:
            yield from read(label, end_of(label), data)

    yield from read_file(item, lambda stream: walk(item.label, stream, item.bytes, leaf))


def end_of(label: str) -> str:
    """The end of a file's name, in lower case and without a dot; of what it holds where it is compressed."""
    name = label.rpartition("!")[2].rpartition("/")[2].lower()
    for packed in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(packed)
    return name.rpartition(".")[2] if "." in name else ""
