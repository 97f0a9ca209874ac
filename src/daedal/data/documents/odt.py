"""OpenDocument text and slides (ODF 1.3): the text of `content.xml`, then its notes.

Text that tracked changes deleted is no text. Comments, tables of contents and the heads and feet of pages are left out
and counted.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from daedal.data.document import Event, Omitted, Raw
from daedal.data.documents.flow import Flow
from daedal.data.documents.package import End, LockedError, Package, Start, without

_SKIPPED = {
    **dict.fromkeys(
        ("tracked-changes", "note-citation", "ruby-text", "forms", "sequence-decls", "desc", "title", "page-number"), ""
    ),
    "annotation": "comments",
    "table-of-content": "tables of contents",
    "header": "running heads and feet",
    "footer": "running heads and feet",
}
_BREAKS = {"tab": "\t", "line-break": "\n"}
_MOST_SPACES = 100
_SPACE = re.compile(r"[ \t\r\n]+")


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in an ODT or ODP file."""
    package = Package(stream, size)
    if "META-INF/manifest.xml" in package.names:
        for each in package.markup("META-INF/manifest.xml"):
            if isinstance(each, Start) and each.name == "encryption-data":
                raise LockedError("it needs a password")
    omitted = Counter[str]()
    main, notes = Flow(), Flow()
    _read(package, "content.xml", main, notes, omitted)
    if "styles.xml" in package.names:
        _read(package, "styles.xml", Flow(), Flow(), omitted)  # what stands on every page
    yield Raw(label, -1, "\n\n".join(filter(None, (main.text(), notes.text()))), "prose", "ODT")
    yield from (Omitted(what, count) for what, count in omitted.items())


def _read(package: Package, part: str, main: Flow, notes: Flow, omitted: Counter[str]) -> None:
    flow, items, paragraphs = main, 0, 0
    for each in without(package.markup(part), lambda start: _SKIPPED.get(start.name), omitted):
        if isinstance(each, str):
            if paragraphs:
                flow.add(_SPACE.sub(" ", each))
        elif isinstance(each, End):
            if each.name in ("p", "h"):
                paragraphs -= 1
                flow.end(items > 0 and each.name == "p" and flow is main)
            elif each.name == "list-item":
                items -= 1
            elif each.name == "note-body":
                flow = main
            elif each.name == "table-row":
                flow.end_row()
        elif each.name in ("p", "h"):
            paragraphs += 1
            flow.begin()
        elif each.name == "list-item":
            items += 1
        elif each.name == "note-body":
            flow = notes
        elif each.name == "table-row":
            flow.begin_row()
        elif each.name == "table-cell":
            flow.begin_cell()
        elif each.name == "s":
            count = each.attributes.get("c", "1")
            flow.add(" " * min(int(count) if count.isdecimal() else 1, _MOST_SPACES))
        elif each.name in _BREAKS:
            flow.add(_BREAKS[each.name])
