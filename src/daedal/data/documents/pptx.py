"""PPTX (ECMA-376, PresentationML): the slides in the order in which they are shown, each with the speaker's notes after it.

Numbers, dates and feet of slides, and what a layout says on all of them, are left out.
"""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from daedal.data.document import Event, Omitted, Raw
from daedal.data.documents.flow import Flow
from daedal.data.documents.package import End, Package, Start, without

_ON_EVERY_SLIDE = frozenset(("ftr", "hdr", "sldNum", "dt"))


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in a PPTX file."""
    package = Package(stream, size)
    main = next(
        (part for kind, part in package.related("").values() if kind == "officeDocument"), "ppt/presentation.xml"
    )
    related = package.related(main)
    listed = (each for each in package.markup(main) if isinstance(each, Start) and each.name == "sldId")
    names = [related[name][1] for each in listed for name in each.attributes.values() if name in related]
    omitted = Counter[str]()
    texts = []
    for name in dict.fromkeys(names):
        if name not in package.names:
            continue
        texts.append(_text(package, name, omitted))
        for kind, part in package.related(name).values():
            if kind == "notesSlide" and part in package.names:
                texts.append(_text(package, part, omitted))
    yield Raw(label, -1, "\n\n".join(filter(None, texts)), "prose", "PPTX")
    yield from (Omitted(what, count) for what, count in omitted.items())


def _text(package: Package, name: str, omitted: Counter[str]) -> str:
    """The text of a slide or of its notes."""
    flow = Flow()
    shape, written = "", False

    def skip(start: Start) -> str | None:
        if start.name == "txBody" and shape in _ON_EVERY_SLIDE:
            return "numbers, dates and feet of slides"
        return "" if start.name == "Fallback" else None

    for each in without(package.markup(name), skip, omitted):
        if isinstance(each, str):
            if written:
                flow.add(each)
        elif isinstance(each, End):
            written = False
            if each.name == "p":
                flow.end()
            elif each.name == "tr":
                flow.end_row()
        elif each.name == "sp":
            shape = ""
        elif each.name == "ph":
            shape = each.attributes.get("type", "")
        elif each.name == "p":
            flow.begin()
        elif each.name == "t":
            written = True
        elif each.name == "br":
            flow.add("\n")
        elif each.name == "tr":
            flow.begin_row()
        elif each.name == "tc":
            flow.begin_cell()
    return flow.text()
