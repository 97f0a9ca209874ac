"""A zip archive of parts, as DOCX, ODT, PPTX and EPUB are, and XML that is read as it streams by."""

import posixpath
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple, TextIO, cast
from urllib.parse import unquote
from xml.parsers import expat

from daedal.data.archives import BombError, Budget, Metered

_DEEPEST = 1_000
_MOST_PARTS = 100_000
_BLOCK = 2**16


class LockedError(Exception):
    """A file that is encrypted."""


class Start(NamedTuple):
    """The begin of an element: its name and attributes, without their namespaces, where that leaves them apart."""

    name: str
    attributes: Mapping[str, str]


class End(NamedTuple):
    """The end of an element."""

    name: str


Markup = Start | End | str


class Package:
    """The parts of a file, which together may unpack to 300 times its size."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        """
        Raises:
            BombError: it has more parts than a document can honestly have.
            LockedError: it is encrypted as a whole.
            zipfile.BadZipFile: it is no archive.
        """
        if stream.read(8) == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
            raise LockedError("it needs a password, or is of an old format under a new name")
        self._zip = zipfile.ZipFile(stream)
        self._budget = Budget(size)
        self.names = frozenset(self._zip.namelist())
        if len(self.names) > _MOST_PARTS:
            raise BombError(f"it has more than {_MOST_PARTS:,} parts")

    def read(self, name: str, most: int) -> bytes:
        """The first `most` bytes of a part."""
        with self._zip.open(name) as part:
            return Metered(part, self._budget).read(most)

    def markup(self, name: str) -> Iterator[Markup]:
        """The XML of a part, as in `markup`.

        Raises:
            ValueError: there is no such part, or it is no XML to be trusted.
        """
        if name not in self.names:
            raise ValueError(f"it has no part {name}")
        with self._zip.open(name) as part:
            yield from markup(cast(BinaryIO, Metered(part, self._budget)))

    def main(self, usual: str) -> str:
        """The part that an Office file begins with."""
        return next((part for kind, part in self.related("").values() if kind == "officeDocument"), usual)

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part of an Office file refers to: by identifier, the kind (the last word of its type) and the name of
        the part."""
        folder, base = posixpath.split(name)
        found = {}
        if (table := posixpath.join(folder, "_rels", f"{base}.rels")) in self.names:
            for each in self.markup(table):
                if isinstance(each, Start) and each.name == "Relationship":
                    values = each.attributes
                    if values.get("TargetMode") != "External":
                        kind = values.get("Type", "").rsplit("/", 1)[-1]
                        found[values.get("Id", "")] = (kind, part_name(folder, values.get("Target", "")))
        return found


def part_name(folder: str, target: str) -> str:
    """The name of the part that something in `folder` calls `target`."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", folder, path)).lstrip("/")


def markup(stream: BinaryIO | TextIO) -> Iterator[Markup]:
    """XML as it comes: begins and ends of elements, and the text between.

    Raises:
        ValueError: it is no XML, nested deeper than a document is, or declares entities, with which a few lines can
        make gigabytes or ask
            for other files.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    found = list[Markup]()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"its XML is nested more than {_DEEPEST:,} deep")
        local = dict[str, str]()
        for key, value in sorted(attributes.items(), key=lambda pair: " " in pair[0]):
            local[key if _local(key) in local else _local(key)] = value
        found.append(Start(_local(name), local))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        found.append(End(_local(name)))

    def entity(*_: object) -> None:
        raise ValueError("its XML declares entities: refused as hostile")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = found.append
    parser.EntityDeclHandler = entity
    try:
        while block := stream.read(_BLOCK):
            parser.Parse(block, False)
            yield from found
            found.clear()
        parser.Parse(b"", True)
        yield from found
    except expat.ExpatError as error:
        raise ValueError(f"its XML is broken: {error}") from None


def without(
    parts: Iterable[Markup], skip: Callable[[Start], str | None], omitted: Counter[str] | None = None
) -> Iterator[Markup]:
    """All but some elements and what is in them.

    Args:
        skip: None for an element that stays; for others what they are called where they have text and are counted, or nothing.
        omitted: where they are counted.
    """
    depth, called = 0, ""
    for each in parts:
        if depth:
            depth += isinstance(each, Start) - isinstance(each, End)
            if called and omitted is not None and isinstance(each, str) and not each.isspace():
                omitted[called] += 1
                called = ""
        elif isinstance(each, Start) and (found := skip(each)) is not None:
            depth, called = 1, found
        else:
            yield each


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
