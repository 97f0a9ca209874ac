"""Files with a word a line, its tags behind it, and an empty line behind each sentence: CoNLL's of 2002 and 2003, CoNLL-U, and
their kin with a tag a word. Read by `daedal.data.kinds.tagged`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from daedal.data.tag_schemes import scheme_of

_DOCUMENT = "-DOCSTART-"  # a line of CoNLL-2003 that begins a document, and is no word
_LOOKED_AT = 2000  # lines
_USUAL = 0.95  # of the lines have as many columns
_UNIVERSAL = 10  # columns of CoNLL-U
_NUMBER = re.compile(r"\d+([-.]\d+)?")  # of a word; CoNLL-U has ranges and words that are not written
_FEW = 100  # different tags, at most
_SHORT = 12  # characters of a tag
_LONG = 200  # words of a sentence that is none


class Layout(NamedTuple):
    """How a file's lines are read.

    Attributes:
        separator: of columns: a tab, or None for any white space.
        width: how many columns there are.
        words: the column of the word.
        tags: the column of its tag.
        universal: whether it is CoNLL-U.
    """

    separator: str | None
    width: int
    words: int
    tags: int
    universal: bool = False


class Sentence(NamedTuple):
    """The words of a sentence and their tags; or the line of a sentence that is broken."""

    words: list[str]
    tags: list[str]
    broken: str = ""


def layout_of(text: str, tags: int | None = None) -> Layout | None:
    """The layout of a file that begins so; None where it has none.

    Args:
        tags: the column of tags, where that was asked for: from 0 on.
    """
    lines = [line for line in text.split("\n", _LOOKED_AT)[:_LOOKED_AT] if line.strip()]
    for separator in ("\t", None):
        rows = [line.rstrip("\r").split(separator) for line in lines]
        if separator:
            rows = [row for row in rows if not row[0].startswith("#")] or rows
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
        rows = [row for row in rows if len(row) == width and row[0] != _DOCUMENT]
        if width < 2 or count < _USUAL * max(1, len(lines) - sum(line.startswith("#") for line in lines)) or not rows:
            continue
        if width == _UNIVERSAL and separator and all(_NUMBER.fullmatch(row[0]) for row in rows):
            return Layout(separator, width, 1, 3 if tags is None else tags, universal=True)
        numbered = width > 2 and all(row[0].isdecimal() for row in rows)
        last = width - 1
        if numbered:  # GermEval's, with the tags of names inside of names behind
            last = next((place for place in range(2, width) if _of_spans([row[place] for row in rows])), last)
        chosen = last if tags is None else tags
        return Layout(separator, width, int(numbered), chosen) if chosen < width else None
    return None


def sureness(text: str) -> float:
    """How sure it is that a file that begins so has tagged words. Tags of spans say it; others must stand in sentences."""
    layout = layout_of(text)
    if layout is None:
        return 0.0
    found = list(sentences(text.rpartition("\n")[0], layout))
    tags = [tag for sentence in found for tag in sentence.tags]
    if not tags:
        return 0.0
    if layout.universal or _of_spans(tags):
        return 0.95
    told = Counter(tags)
    short = all(len(tag) <= _SHORT and not tag.islower() and not _NUMBER.fullmatch(tag) for tag in told)
    sized = len(found) > 1 and len(tags) < _LONG * len(found) and len(tags) > 2 * len(found)
    lettered = sum(any(map(str.isalpha, word)) for each in found for word in each.words) > len(tags) / 2
    return 0.85 if short and sized and lettered and 1 < len(told) <= min(_FEW, len(tags) // 2) else 0.0


def _of_spans(tags: Sequence[str]) -> bool:
    """Whether tags say where names, or phrases, begin and go on."""
    return scheme_of([tags]) != "plain" and any(tag != "O" for tag in tags)


def sentences(text: str, layout: Layout) -> Iterator[Sentence]:
    """The sentences of a file; those with a line of too few or too many columns are broken."""
    words: list[str] = []
    tags: list[str] = []
    broken = ""
    for line in (*text.split("\n"), ""):
        row = line.rstrip("\r").split(layout.separator)
        if not line.strip():
            if words or broken:
                yield Sentence(words, tags, broken)
            words, tags, broken = [], [], ""
        elif row[0] == _DOCUMENT or (line.startswith("#") and (layout.universal or len(row) != layout.width)):
            continue
        elif len(row) != layout.width:
            broken = broken or line.strip()
        elif not layout.universal or row[0].isdecimal():
            words.append(row[layout.words])
            tags.append(row[layout.tags])
