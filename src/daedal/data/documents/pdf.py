"""PDF -> text in the order in which it is read: characters with their boxes become lines, columns and paragraphs.

Where characters stand is PDFium's word; what they make together is found in `layout` (runs to lines, columns),
`heads` (what every page repeats) and `paragraphs` (lines to text). Pages that are pictures have no characters: a file
of them is told as a scan.
"""

import ctypes
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from daedal.data.document import Event, Lost, Omitted, Raw
from daedal.data.documents.heads import without_heads
from daedal.data.documents.layout import Run, columns_of
from daedal.data.documents.paragraphs import text_of

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_GAP = 0.8  # of a character's height: a wider gap on a line may part columns
_SAMPLE = 50  # characters of a page whose angle is looked at, to see how the page is turned
_HYPHEN = "\u00ad"
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
_CHARACTERS = {**_LIGATURES, 0x02: _HYPHEN, 0xFFFE: _HYPHEN, 0xA0: " ", 0x09: " "}
_SPACES = frozenset((0x20, 0xA0, 0x09, 0x0A, 0x0D, 0x3000))


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in a PDF file."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        document = pypdfium2.PdfDocument(stream)
    except pypdfium2.PdfiumError as error:
        code = raw.FPDF_GetLastError()
        if code == raw.FPDF_ERR_PASSWORD:
            yield Lost(label, "encrypted", "it needs a password", size)
        else:
            yield Lost(label, "broken file", str(error), size)
        return
    count = len(document)
    pages, broken, empty, turned, unknown, characters = [], 0, 0, 0, 0, 0
    for number in range(count):
        try:
            found = _runs(document, number)
        except pypdfium2.PdfiumError:
            broken += 1
            continue
        turned += found.turned
        unknown += found.unknown
        characters += found.characters
        empty += not found.runs
        pages.append(columns_of(found.runs))
    if broken == count:
        yield Lost(label, "broken file", "none of its pages can be read", size)
    elif empty == count - broken:
        yield Lost(
            label,
            "scan",
            f"there is no text on its pages ({count:,}): make it readable with an OCR program, as ocrmypdf",
            size,
        )
    elif 2 * unknown > characters:
        yield Lost(
            label,
            "text without letters",
            "its fonts do not say which letters they show: OCR reads it, as ocrmypdf --force-ocr",
            size,
        )
    else:
        kept, heads = without_heads(pages)
        yield Raw(label, -1, text_of(kept), "prose", "PDF")
        told = {
            "running heads, feet and page numbers": heads,
            "pages without text (scanned pictures or blank)": empty,
            "broken pages": broken,
            "lines across the page": turned,
        }
        yield from (Omitted(what, number) for what, number in told.items() if number)


class _Found:
    """What is on a page: runs of characters, how many of them in a direction other than the page's, how many of no known
    letter."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.turned = 0
        self.unknown = 0
        self.characters = 0


def _runs(document: Any, number: int) -> _Found:
    """The characters of a page as runs: what stands closely together on a line."""
    page = document[number]
    try:
        text = page.get_textpage()
        try:
            return _runs_of(text.raw)
        finally:
            text.close()
    finally:
        page.close()


def _runs_of(text: Any) -> _Found:
    from pypdfium2 import raw

    found = _Found()
    count = raw.FPDFText_CountChars(text)
    quarters = _quarters(text, count)
    box = raw.FS_RECTF()
    reference = ctypes.byref(box)
    unicode_of, box_of = raw.FPDFText_GetUnicode, raw.FPDFText_GetLooseCharBox
    letters = list[str]()
    line = last = (0.0, 0.0, 0.0, 0.0)
    turned = before = spaced = False

    def close() -> None:
        nonlocal before
        if letters and not turned:
            found.runs.append(Run("".join(letters), *line))
        elif letters:
            found.turned += not before  # each character of it is a run
        before = turned
        letters.clear()

    for place in range(count):
        code = unicode_of(text, place)
        if code in _SPACES:
            spaced = True
            continue
        if not box_of(text, place, reference):
            continue
        found.characters += 1
        if code in (0, 0xFFFD) or 0xE000 <= code <= 0xF8FF:
            found.unknown += 1
        here = _turned(quarters, box.left, box.bottom, box.right, box.top)
        if letters and _apart(last, here):
            close()
        if not letters:
            turned = _quarter(raw.FPDFText_GetCharAngle(text, place)) != quarters
            line = here
        else:
            if spaced:
                letters.append(" ")
            line = min(line[0], here[0]), min(line[1], here[1]), max(line[2], here[2]), max(line[3], here[3])
        letters.append(_CHARACTERS.get(code) or chr(code if code < 0x110000 else 0xFFFD))
        last, spaced = here, False
    close()
    return found


def _apart(one: Box, other: Box) -> bool:
    """Whether two characters that follow each other are of different runs."""
    height = max(one[3] - one[1], other[3] - other[1], 1.0)
    shared = min(one[3], other[3]) - max(one[1], other[1])
    gap = max(other[0] - one[2], one[0] - other[2])
    return shared < 0.3 * min(one[3] - one[1], other[3] - other[1]) or gap > _GAP * height


def _quarters(text: Any, count: int) -> int:
    """By how many quarters of a circle most of a page's characters are turned."""
    from pypdfium2 import raw

    step = max(1, count // _SAMPLE)
    seen = Counter(_quarter(raw.FPDFText_GetCharAngle(text, place)) for place in range(0, count, step))
    return max(seen, key=lambda each: (seen[each], -each), default=0)


def _quarter(angle: float) -> int:
    """Of an angle as PDFium gives it: clockwise."""
    return round(angle / (math.pi / 2)) % 4


def _turned(quarters: int, x0: float, y0: float, x1: float, y1: float) -> Box:
    """A box of a page that is turned so that its text runs to the right."""
    if quarters == 0:
        return x0, y0, x1, y1
    if quarters == 1:
        return -y1, x0, -y0, x1
    if quarters == 2:
        return -x1, -y1, -x0, -y0
    return y0, -x1, y1, -x0
