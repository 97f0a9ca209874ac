"""PDF -> text in the order in which it is read: characters with their boxes become lines, columns and paragraphs.

Where characters stand is PDFium's word; what they make together is found in `layout` (runs to lines, columns),
`heads` (what every page repeats) and `paragraphs` (lines to text). Pages that are pictures have no characters: a file
of them is told as a scan.
"""

import contextlib
import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from daedal.data.document import Event, Lost, Omitted, Raw
from daedal.data.documents.heads import without_contents, without_heads
from daedal.data.documents.layout import Run, columns_of
from daedal.data.documents.paragraphs import text_of

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""

_GAP = 0.8  # of a character's height: a wider gap on a line may part columns
_SAMPLE = 50  # characters of a page whose angle is looked at, to see how the page is turned
_HYPHEN = "\u00ad"
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
_CHARACTERS = {**_LIGATURES, 0x02: _HYPHEN, 0xFFFE: _HYPHEN}
_WORD = re.compile(r"[^ \t\r\n\u00a0\u3000]+")
_UNKNOWN = re.compile("[\0\ufffd\ue000-\uf8ff]")


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
    with contextlib.closing(document):
        yield from _read(label, document, size)


def _read(label: str, document: Any, size: int) -> Iterator[Event]:
    import pypdfium2

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
        kept, contents = without_contents(kept)
        yield Raw(label, -1, text_of(kept), "prose", "PDF")
        told = {
            "running heads, feet and page numbers": heads,
            "lines of tables of contents": contents,
            "pages without text (scanned pictures or blank)": empty,
            "broken pages": broken,
            "lines across the page": turned,
        }
        yield from (Omitted(what, number) for what, number in told.items() if number)


class _Found:
    """What is on a page.

    Attributes:
        runs: of characters, in the direction in which most of the page runs.
        turned: how many run in another.
        unknown: characters of which nobody knows the letter.
        characters: all of them.
    """

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
    letters = _letters(text)
    found.characters = len(letters)
    found.unknown = len(_UNKNOWN.findall(letters))
    quarters = _quarters(text, len(letters))
    box = raw.FS_RECTF()
    reference = ctypes.byref(box)
    run = list[str]()
    line = last = (0.0, 0.0, 0.0, 0.0)
    sizes = Counter[tuple[float, float]]()  # characters by their bottom and top
    turned = before = False
    ended = 0

    def box_of(place: int) -> Box:
        raw.FPDFText_GetLooseCharBox(text, place, reference)
        return _turned(quarters, box.left, box.bottom, box.right, box.top)

    def close() -> None:
        nonlocal before
        if run and not turned:
            bottom, top = max(sizes, key=lambda each: (sizes[each], each))  # not those of an index or another font
            found.runs.append(Run("".join(run), line[0], bottom, line[2], top))
        elif run:
            found.turned += not before  # each character of it is a run
        before = turned
        run.clear()
        sizes.clear()

    for match in _WORD.finditer(letters):
        begin, end = match.span()
        first = box_of(begin)
        end_box = box_of(end - 1)
        parts = [(begin, end, first, end_box)]
        if end - begin > 1 and _shared(first, end_box) < 0.3 * min(first[3] - first[1], end_box[3] - end_box[1]):
            each = [(place, place + 1, box_of(place)) for place in range(begin, end)]  # not all on one line
            parts = [(*one, one[2]) for one in each]
        for start, stop, first, end_box in parts:
            if run and _apart(last, first):
                close()
            if not run:
                turned = _quarter(raw.FPDFText_GetCharAngle(text, start)) != quarters
                line = first
            elif start > ended:
                run.append(" ")
            run.append(letters[start:stop].translate(_CHARACTERS))
            line = _around(_around(line, first), end_box)
            sizes[round(end_box[1], 1), round(end_box[3], 1)] += stop - start
            last, ended = end_box, stop
    close()
    return found


def _letters(text: Any) -> str:
    """The characters of a page: as many as PDFium counts, so that the place of one is its number there."""
    from pypdfium2 import raw

    count = max(0, raw.FPDFText_CountChars(text))
    buffer = (ctypes.c_ushort * (count + 1))()
    if raw.FPDFText_GetText(text, 0, count, buffer) == count + 1:
        letters = bytes(buffer)[: 2 * count].decode("utf-16-le", "replace")
        if len(letters) == count:
            return letters
    codes = (raw.FPDFText_GetUnicode(text, place) for place in range(count))
    return "".join(chr(code) if code < 0x110000 else "\ufffd" for code in codes)


def _around(one: Box, other: Box) -> Box:
    a0, b0, a1, b1 = one
    c0, d0, c1, d1 = other
    return a0 if a0 < c0 else c0, b0 if b0 < d0 else d0, a1 if a1 > c1 else c1, b1 if b1 > d1 else d1


def _shared(one: Box, other: Box) -> float:
    """The height at which both boxes are."""
    return min(one[3], other[3]) - max(one[1], other[1])


def _apart(one: Box, other: Box) -> bool:
    """Whether two characters that follow each other are of different runs."""
    height, higher = one[3] - one[1], other[3] - other[1]
    gap = max(other[0] - one[2], one[0] - other[2])
    return _shared(one, other) < 0.3 * min(height, higher) or gap > _GAP * max(height, higher, 1.0)


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
