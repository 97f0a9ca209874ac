"""EPUB 2 and 3: the chapters in the order of the spine, each the main text of a web page.

Chapters are read as HTML, which has no entities to be attacked by. Navigation, and a chapter that the spine names
twice, is left out.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from daedal.data.decode import Decoder
from daedal.data.document import Coded, Event, Omitted, Raw
from daedal.data.documents.package import LockedError, Package, Start, part_name
from daedal.data.html import main_text
from daedal.data.plain_text import MOST_AT_ONCE

_PAGES = frozenset(("application/xhtml+xml", "text/html", "text/x-oeb1-document", ""))
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # only makes fonts hard to copy

_DECLARATION = re.compile(rb"\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The book in an EPUB file."""
    package = Package(stream, size)
    navigation, names = _spine(package)
    locked = _locked(package).intersection(names)
    if locked:
        raise LockedError("it is protected against copying")
    texts, replaced = [], 0
    for name in names:
        if name in navigation or name not in package.names:
            continue
        page = package.read(name, MOST_AT_ONCE)
        decoder = Decoder(_declared(page) or encoding)
        texts.append(main_text(decoder.decode(page, final=True)))
        replaced += decoder.replaced
    yield Raw(label, -1, "\n\n".join(filter(None, texts)), "prose", "EPUB")
    yield Coded(label, "utf-8", replaced)
    if left := len(navigation):
        yield Omitted("tables of contents", left)


def _spine(package: Package) -> tuple[set[str], list[str]]:
    """The parts that are navigation, and those that are chapters in their order, each once."""
    roots = (each for each in package.markup("META-INF/container.xml") if isinstance(each, Start))
    root = next((each.attributes.get("full-path", "") for each in roots if each.name == "rootfile"), "")
    folder = root.rpartition("/")[0]
    items, order, navigation = dict[str, str](), list[str](), set[str]()
    for each in package.markup(root):
        if not isinstance(each, Start):
            continue
        values = each.attributes
        if each.name == "item" and values.get("media-type", "") in _PAGES:
            name = part_name(folder, values.get("href", ""))
            items[values.get("id", "")] = name
            if "nav" in values.get("properties", "").split():
                navigation.add(name)
        elif each.name == "itemref":
            order.append(values.get("idref", ""))
    return navigation, list(dict.fromkeys(items[each] for each in order if each in items))


def _locked(package: Package) -> set[str]:
    """The parts that are encrypted."""
    found, algorithm = set[str](), ""
    if "META-INF/encryption.xml" in package.names:
        for each in package.markup("META-INF/encryption.xml"):
            if isinstance(each, Start) and each.name == "EncryptionMethod":
                algorithm = each.attributes.get("Algorithm", "")
            elif isinstance(each, Start) and each.name == "CipherReference" and algorithm not in _FONTS:
                found.add(part_name("", each.attributes.get("URI", "")))
    return found


def _declared(page: bytes) -> str | None:
    """The encoding that an XML declaration names, where it is one."""
    match = _DECLARATION.match(page)
    try:
        return codecs.lookup(match[1].decode("ascii")).name if match else None
    except LookupError:
        return None
