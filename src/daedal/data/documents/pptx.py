"""PPTX (ECMA-376, PresentationML): the slides in the order in which they are shown, each with the speaker's notes after it.

Numbers, dates and feet of slides, and what a layout says on all of them, are left out.
"""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from daedal.data.document import Event, Omitted, Raw
from daedal.data.documents.docx import text_of
from daedal.data.documents.package import Package, Start, without

_ON_EVERY_SLIDE = frozenset(("ftr", "hdr", "sldNum", "dt"))


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in a PPTX file."""
    package = Package(stream, size)
    main = package.main("ppt/presentation.xml")
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
    shape = ""

    def skip(start: Start) -> str | None:
        nonlocal shape
        if start.name in ("sp", "ph"):
            shape = start.attributes.get("type", "") if start.name == "ph" else ""
        return "numbers, dates and feet of slides" if start.name == "txBody" and shape in _ON_EVERY_SLIDE else None

    return text_of(without(package.markup(name), skip, omitted), omitted)
