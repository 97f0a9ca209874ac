"""A stream of bytes and its name -> the raw documents in it, through archives and compression, in bounded memory."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, TypeVar, cast

from daedal.data import archives
from daedal.data.decode import is_binary
from daedal.data.delimited import read_csv
from daedal.data.document import Event, Lost
from daedal.data.documents.sandbox import read_document
from daedal.data.filetypes import FileType, file_type, inner_name
from daedal.data.json_rows import read_json, read_jsonl
from daedal.data.plain_text import TooLargeError, read_text, read_whole, whole_text
from daedal.data.rejoined import Rejoined
from daedal.data.tables import read_parquet

T = TypeVar("T")


class Reading(NamedTuple):
    """What the user said about how files are read.

    Attributes:
        urls: whether it matters where rows are from.
    """

    field: str | None = None
    encoding: str | None = None
    urls: bool = False


def read_stream(label: str, stream: BinaryIO, size: int, reading: Reading) -> Iterator[Event]:
    """The documents in a stream called `label`; what is broken comes as `Lost`. `size` is what it has on disk."""
    return walk(label, stream, size, lambda label, stream, type_: _read_plain(label, stream, size, type_, reading))


def walk(
    label: str,
    stream: BinaryIO,
    size: int,
    read: Callable[[str, BinaryIO, FileType], Iterator[T]],
    name: str | None = None,
    budget: archives.Budget | None = None,
    depth: int = 0,
) -> Iterator[T | Lost]:
    """What `read` gives of a file, or of each that is in it where it is an archive; what is broken comes as `Lost`.

    Args:
        label: its name, as shown to people.
        stream: its bytes.
        size: how many bytes it has on disk, to tell a bomb by.
        read: given the label, the bytes and the type of a file that is no archive.
        name: the name that says its type, where that is not the label: `a.txt` inside `a.txt.gz`.
        budget: what the archive around it may still unpack to.
        depth: how many archives are around it.
    """
    name = name or label
    type_ = file_type(name)
    budget = budget or archives.Budget(size)
    try:
        if type_.reader in ("zip", "tar", "compressed") and depth == archives.MAX_DEPTH:
            yield Lost(label, "nested too deeply", f"more than {archives.MAX_DEPTH} archives in each other", size)
        elif type_.reader == "compressed":
            opened = archives.unpack(type_.name, stream, budget)
            yield from walk(label, opened, size, read, inner_name(name), budget, depth + 1)
        elif type_.reader in ("zip", "tar"):
            members = archives.zip_members if type_.reader == "zip" else archives.tar_members
            for member, opened_or_lost in members(label, stream, budget):
                if isinstance(opened_or_lost, Lost):
                    yield opened_or_lost
                else:
                    inside = f"{label}!{member}"
                    yield from walk(inside, opened_or_lost, size, read, member, budget, depth + 1)
        else:
            yield from read(label, stream, type_)
    except TooLargeError as error:
        yield Lost(label, "too large", str(error), size)
    except archives.BombError as error:
        if depth:  # the whole archive is refused, not only the member at which it was noticed
            raise
        yield Lost(label, "archive bomb", str(error), size)
    except archives.BROKEN as error:
        yield Lost(label, "broken file", str(error).splitlines()[0][:200] if str(error) else "truncated", size)


def _read_plain(label: str, stream: BinaryIO, size: int, type_: FileType, reading: Reading) -> Iterator[Event]:
    if type_.reader in ("jsonl", "json", "csv", "tsv"):
        head = stream.read(8192)
        if is_binary(head):
            yield Lost(label, "binary", "not text by its first bytes", size, broken=False)
            return
        stream = cast(BinaryIO, Rejoined(head, stream))
    match type_.reader:
        case "none":
            yield Lost(label, "binary", "not text by its name", size, broken=False)
        case "document":
            yield from read_document(label, stream, size, type_, reading.encoding)
        case "jsonl":
            yield from read_jsonl(label, stream, reading.field, reading.encoding)
        case "csv" | "tsv":
            yield from read_csv(label, stream, reading.field, type_.name, reading.encoding)
        case "parquet":
            yield from read_parquet(label, archives.seekable(stream), reading.field, reading.urls)
        case "json":
            yield from read_json(label, stream, type_, reading.field, reading.encoding)
        case "html":
            yield from whole_text(label, read_whole(stream), type_, reading.encoding)
        case _:
            yield from read_text(label, stream, type_, reading.encoding)
