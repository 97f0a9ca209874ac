"""Lines in columns -> text: lines of a paragraph are joined, and words that were broken at the end of one."""

import itertools
import re
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from daedal.data.documents.layout import Column, Run

_HYPHEN = "\u00ad"
_SENTENCE_END = re.compile(r"[.!?:;…。！？]['\"”’»)\]]*$")
_ITEM = re.compile(r"^(?:[•‣▪●○◦–—*·■□➢]\s|\(?\d{1,3}[.)]\s|\(?[a-zA-Z][.)]\s|\[\d{1,3}\]\s)")
_BROKEN = re.compile(r"([^\W\d_]+)[-\u00ad\u2010]$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_NO_SPACES = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
_SHORT = 0.85  # of a column's width: a line that ends a sentence and is shorter ends the paragraph
_VERY_SHORT = 0.6  # a line that is shorter is one by itself


class _Measure(NamedTuple):
    """The shape of a column: its sides, and the distance from line to line."""

    left: float
    right: float
    leading: float


def text_of(pages: Sequence[list[Column]]) -> str:
    """The text of pages: an empty line between paragraphs."""
    columns = [column for page in pages for column in page if column]
    words = _words(columns)
    pieces = list[str]()
    before: tuple[Run, _Measure] | None = None
    for column in columns:
        measure = _measure(column)
        for place, line in enumerate(column):
            text = line.text
            if before is None:
                between = ""
            elif place:
                between = _within(before[0], line, measure)
            else:
                between = _across(*before, line)
            if between == " ":
                _join(pieces, text, words)
            else:
                pieces += (between, text)
            before = line, measure
    return "".join(pieces).replace(_HYPHEN, "-")


def _measure(column: Column) -> _Measure:
    steps = [above.y0 - below.y0 for above, below in itertools.pairwise(column)]
    leading = median(steps) if steps else 1.2 * column[0].height
    return _Measure(min(line.x0 for line in column), max(line.x1 for line in column), max(leading, 1.0))


def _within(above: Run, below: Run, of: _Measure) -> str:
    """What parts two lines of a column: a space, the end of a line or an empty line."""
    size, width = min(above.height, below.height), of.right - of.left
    goes_on = below.text[:1].islower() or above.text.endswith(("-", _HYPHEN, ","))
    resized = max(above.height, below.height) > 1.15 * size and not (goes_on and not _ends(above.text))
    if resized or above.y0 - below.y0 > 1.3 * of.leading:
        return "\n\n"
    if _ITEM.match(below.text) or "\t" in above.text or "\t" in below.text:
        return "\n"
    if below.x0 - above.x0 > 0.6 * size and above.x0 - of.left < 0.6 * size and not goes_on and _ends(above.text):
        return "\n\n"  # the first line of a paragraph is set in
    filled = (above.x1 - of.left) / width if width else 1.0
    if filled < _SHORT and _ends(above.text):
        return "\n\n"
    return "\n" if filled < _VERY_SHORT and not goes_on else " "


def _across(above: Run, of: _Measure, below: Run) -> str:
    """What parts the last line of a column from the first of the next."""
    if _ends(above.text) or max(above.height, below.height) > 1.15 * min(above.height, below.height):
        return "\n\n"
    if below.text[:1].islower() or above.text.endswith(("-", _HYPHEN)):
        return " "
    if above.y0 - below.y1 > 0 and above.y0 - below.y0 > 1.3 * of.leading:
        return "\n\n"  # further down, where a column goes on at the top
    return " " if above.x1 - of.left > _SHORT * (of.right - of.left) and not _ITEM.match(below.text) else "\n\n"


def _ends(text: str) -> bool:
    return _SENTENCE_END.search(text) is not None


def _join(pieces: list[str], text: str, words: frozenset[str]) -> None:
    """Put a line behind the one before, and a broken word together."""
    last = pieces[-1]
    broken, first = _BROKEN.search(last), _FIRST_WORD.match(text)
    if broken is not None and first is not None:
        whole, compound = f"{broken[1]}{first[0]}".lower(), f"{broken[1]}-{first[0]}".lower()
        if first[0][0].islower() and (whole in words or compound not in words):
            pieces[-1] = last[:-1]
        pieces.append(text)
    elif last and text and _NO_SPACES.match(last[-1]) and _NO_SPACES.match(text[0]):
        pieces.append(text)
    else:
        pieces += (" ", text)


def _words(columns: list[Column]) -> frozenset[str]:
    """The words that stand whole on a line, to tell a broken word from one with a hyphen of its own."""
    return frozenset(_each_word(columns))


def _each_word(columns: list[Column]) -> Iterator[str]:
    for column in columns:
        for line in column:
            text = line.text.replace(_HYPHEN, "-").lower()
            yield from _WORDS.findall(text[:-1] if text.endswith("-") else text)
