"""DOCX (ECMA-376, WordprocessingML): the text of the body, then its foot- and endnotes.

Text that tracked changes deleted or moved away, codes of fields and the second writing of what newer programs draw are
no text. Running heads and feet, comments and tables of contents are left out and counted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from daedal.data.document import Event, Omitted, Raw
from daedal.data.documents.flow import Flow
from daedal.data.documents.package import End, Markup, Package, Start, without

_SKIPPED = frozenset(("delText", "moveFrom", "instrText", "delInstrText", "Fallback", "rt"))
_BREAKS = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_CONTENTS = re.compile(r"TOC ?\d$", re.IGNORECASE)


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in a DOCX file."""
    package = Package(stream, size)
    main = package.main("word/document.xml")
    omitted = Counter[str]()
    texts = [text_of(package.markup(main), omitted)]
    for kind, part in sorted(set(package.related(main).values())):
        if part not in package.names:
            continue
        if kind in ("footnotes", "endnotes"):
            texts.append(text_of(package.markup(part), omitted))
        elif kind in ("header", "footer"):
            omitted["running heads and feet"] += bool(text_of(package.markup(part), Counter()))
        elif kind == "comments":
            each = (isinstance(one, Start) and one.name == "comment" for one in package.markup(part))
            omitted["comments"] += sum(each)
    yield Raw(label, -1, "\n\n".join(filter(None, texts)), "prose", "DOCX")
    yield from (Omitted(what, count) for what, count in omitted.items() if count)


def text_of(parts: Iterable[Markup], omitted: Counter[str]) -> str:
    """The text of a part of the file; elements of a PPTX have the same names."""
    flow = Flow()
    paragraphs = list[dict[str, bool]]()
    controls = list[bool]()  # the content controls that are open, and whether each is a table of contents
    written = False
    for each in without(parts, lambda start: "" if start.name in _SKIPPED else None):
        if isinstance(each, str):
            if written:
                flow.add(each)
        elif isinstance(each, End):
            written = False
            if each.name == "p" and paragraphs:
                is_ = paragraphs.pop()
                if is_["contents"]:
                    omitted["lines of tables of contents"] += 1
                    flow.drop()
                else:
                    flow.end(is_["item"])
            elif each.name == "tr":
                flow.end_row()
            elif each.name == "sdt" and controls:
                controls.pop()
        elif each.name == "p":
            flow.begin()
            paragraphs.append({"item": False, "contents": any(controls)})
        elif each.name == "t":
            written = True
        elif each.name in ("pStyle", "numId") and paragraphs:
            value = each.attributes.get("val", "")
            if each.name == "pStyle":
                paragraphs[-1]["contents"] |= _CONTENTS.match(value) is not None
            else:
                paragraphs[-1]["item"] |= value != "0"
        elif each.name == "sdt":
            controls.append(False)
        elif each.name == "docPartGallery" and controls:
            controls[-1] |= each.attributes.get("val") == "Table of Contents"
        elif each.name == "tr":
            flow.begin_row()
        elif each.name == "tc":
            flow.begin_cell()
        elif each.name in _BREAKS and "pos" not in each.attributes and each.attributes.get("val") is None:
            flow.add(_BREAKS[each.name])  # a tab that has a place is a tab stop of the ruler
    return flow.text()
