"""A stream of bytes and its name -> the pictures in it, and what is said of them, through archives and compression."""

import unicodedata
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from daedal.data import archives
from daedal.data.decode import decode
from daedal.data.document import Lost
from daedal.data.fields import split_of_folders
from daedal.data.filetypes import file_type, inner_name
from daedal.data.images.builtin import read_builtin
from daedal.data.images.events import Aside, Event, Found, Table
from daedal.data.images.idx import read_idx
from daedal.data.images.kinds import CONVERT, FOREIGN, kind_of
from daedal.data.images.metadata import caption_inside
from daedal.data.images.origin import Origin
from daedal.data.images.picture import Picture
from daedal.data.images.rows import Columns, holds_pictures, read_hub_pictures, read_parquet_pictures
from daedal.data.sources import Item, read_file

_MOST = 256 * 2**20  # bytes of one picture's file
_MOST_TABLE = 512 * 2**20
_MOST_TEXT = 2**16


class Reading(NamedTuple):
    """What is looked for besides pictures.

    Attributes:
        columns: of Parquet files and hub datasets.
        tables: names of files that say something about pictures.
        sidecars: whether `.txt` files beside pictures are their captions, as `.caption` files always are.
        metadata: whether the captions are in the files of the pictures.
        size: of the pictures that built-in sources draw.
        seed: of built-in sources.
    """

    columns: Columns
    tables: frozenset[str]
    sidecars: bool
    metadata: bool
    size: int | None
    seed: int


class Place:
    """How far a file was read."""

    def __init__(self) -> None:
        self._stream: BinaryIO | None = None
        self._furthest = 0

    def watch(self, stream: BinaryIO | None) -> None:
        """Go with another file, or with none."""
        self._stream, self._furthest = stream, 0

    def bytes(self) -> int:
        """Bytes of the file that lie behind the furthest place that was read."""
        if self._stream is not None:
            self._furthest = max(self._furthest, self._stream.tell())
        return self._furthest


def read_item(item: Item, reading: Reading, place: Place) -> Iterator[Event]:
    """Everything in one file, or in what is read like one; `place` tells how far it came."""
    place.watch(None)
    if item.kind == "hub":
        yield from read_hub_pictures(item.path, reading.columns)
    elif item.kind == "pictures":
        for picture in read_builtin(item.path, reading.size, reading.seed):
            yield Found(picture)
    else:

        def watched(stream: BinaryIO) -> Iterator[Event]:
            place.watch(stream)
            try:
                yield from read_stream(Origin.of_file(item.label, item.path), stream, item.bytes, reading)
            finally:
                place.watch(None)

        yield from read_file(item, watched)


def read_stream(
    origin: Origin,
    stream: BinaryIO,
    size: int,
    reading: Reading,
    name: str | None = None,
    budget: archives.Budget | None = None,
    depth: int = 0,
) -> Iterator[Event]:
    """Everything in a stream; what is broken comes as `Lost`.

    Args:
        origin: where it is.
        stream: its bytes.
        size: how many bytes it has on disk, to tell a bomb by.
        reading: what is looked for.
        name: the name that says its type, where that is not its own.
        budget: what the archive around it may still unpack to.
        depth: how many archives are around it.
    """
    label = str(origin)
    name = name or origin.file
    kind = kind_of(name)
    budget = budget or archives.Budget(size)
    try:
        if kind in ("zip", "tar", "compressed") and depth == archives.MAX_DEPTH:
            yield Lost(label, "nested too deeply", f"more than {archives.MAX_DEPTH} archives in each other", size)
        elif kind == "compressed":
            opened = archives.unpack(file_type(name).name, stream, budget)
            yield from read_stream(origin, opened, size, reading, inner_name(name), budget, depth + 1)
        elif kind in ("zip", "tar"):
            members = archives.zip_members if kind == "zip" else archives.tar_members
            for member, opened_or_lost in members(label, stream, budget):
                if isinstance(opened_or_lost, Lost):
                    yield opened_or_lost
                elif not _hidden(member):
                    inside = origin.member(member)
                    yield from read_stream(inside, opened_or_lost, 0, reading, member, budget, depth + 1)
        else:
            yield from _read_plain(origin, stream, size, name, reading)
    except archives.BombError as error:
        if depth:  # the whole archive is refused, not only the member at which it was noticed
            raise
        yield Lost(label, "archive bomb", str(error), size)
    except archives.BROKEN as error:
        yield Lost(label, "broken file", str(error).splitlines()[0][:200] if str(error) else "truncated", size)


def _read_plain(origin: Origin, stream: BinaryIO, size: int, name: str, reading: Reading) -> Iterator[Event]:
    label, kind = str(origin), kind_of(name)
    base = unicodedata.normalize("NFC", name.rsplit("/", 1)[-1]).lower()
    if kind == "picture":
        data = stream.read(_MOST + 1)
        if len(data) > _MOST:
            yield Lost(label, "too large", f"a file of more than {_MOST >> 20} MiB", size)
        else:
            caption = caption_inside(data) if reading.metadata else None
            yield Found(Picture(origin, encoded=data, caption=caption, split=split_of_folders(origin.folders)))
    elif kind == "foreign":
        form = FOREIGN[base.rsplit(".", 1)[-1]]
        yield Lost(label, f"{form}, which is not read", CONVERT, size, broken=False)
    elif kind in ("idx-images", "idx-labels"):
        yield from read_idx(origin, stream)
    elif kind in ("table", "parquet") and base in reading.tables:
        stream = archives.seekable(stream)
        if kind == "parquet" and holds_pictures(stream):
            yield from read_parquet_pictures(origin, stream, reading.columns)
            return
        data = stream.read(_MOST_TABLE + 1)
        if len(data) > _MOST_TABLE:
            yield Lost(label, "too large", f"a table of more than {_MOST_TABLE >> 20} MiB", size)
        else:
            yield Table(origin, base, data)
    elif kind == "parquet":
        yield from read_parquet_pictures(origin, archives.seekable(stream), reading.columns)
    elif kind == "caption" or (kind == "text" and reading.sidecars):
        data = stream.read(_MOST_TEXT + 1)
        if len(data) > _MOST_TEXT:
            yield Lost(label, "too large", f"a caption of more than {_MOST_TEXT >> 10} KiB", size)
        else:
            yield Aside(origin, decode(data).text)
    elif kind == "table":
        yield Lost(label, "table that is not used", "name it with --captions or --labels", size, broken=False)
    else:
        yield Lost(label, "not a picture", "by its name", size, broken=False)


def _hidden(member: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in member.split("/"))
