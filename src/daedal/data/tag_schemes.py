"""Tags of words as spans and back: IOB2 (`B-PER I-PER O`), IOB1, where `B-` only parts neighbours of one label, BIOES, BILOU.

Spans are read as CoNLL's own evaluation reads them (`conlleval`, Tjong Kim Sang and Buchholz 2000), which mends what is broken:
an `I-` that follows nothing of its label begins a span.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Scheme = Literal["IOB1", "IOB2", "BIOES", "BILOU", "plain"]
OUTSIDE = "O"
_TAG = re.compile(r"O|[BIESLU]-.+", re.DOTALL)
_BEGINS, _ENDS = frozenset("BSU"), frozenset("ESLU")
_LAST_ALONE = {"BIOES": ("E", "S"), "BILOU": ("L", "U")}


class Span(NamedTuple):
    """Some words that are one thing.

    Attributes:
        label: what they are, as `PER`.
        start: the first word.
        end: the word after the last.
    """

    label: str
    start: int
    end: int


def scheme_of(sentences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme of the tags of some sentences; `plain` where each says something of its word alone, as parts of speech do."""
    prefixes: set[str] = set()
    begun_with: set[str] = set()  # prefixes of the first words of spans behind others than of their label
    for tags in sentences:
        before = OUTSIDE
        for tag in tags:
            if not _TAG.fullmatch(tag):
                return "plain"
            if tag != OUTSIDE:
                prefixes.add(tag[0])
                if before[2:] != tag[2:]:
                    begun_with.add(tag[0])
            before = tag
    if prefixes & _ENDS:
        return "BILOU" if prefixes & set("LU") else "BIOES"
    return "IOB1" if begun_with == {"I"} else "IOB2"


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence's tags, of any scheme but `plain`."""
    found: list[Span] = []
    label, start = "", -1  # of the span that is open
    for place, tag in enumerate((*tags, OUTSIDE)):
        goes_on = tag != OUTSIDE and tag[0] not in _BEGINS and tag[2:] == label
        if start >= 0 and not goes_on:
            found.append(Span(label, start, place))
            label, start = "", -1
        if tag != OUTSIDE and not goes_on:
            label, start = tag[2:], place
        if tag[0] in _ENDS and start >= 0:
            found.append(Span(label, start, place + 1))
            label, start = "", -1
    return found


def tags_of(found: Iterable[Span], words: int, scheme: Scheme = "IOB2") -> list[str]:
    """The tags of a sentence of so many words, in IOB2, BIOES or BILOU."""
    tags = [OUTSIDE] * words
    last, alone = _LAST_ALONE.get(scheme, ("I", "B"))
    for label, start, end in found:
        tags[start:end] = [f"I-{label}"] * (end - start)
        tags[end - 1] = f"{last}-{label}"
        tags[start] = f"{alone if end - start == 1 else 'B'}-{label}"
    return tags


def mended(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """The tags with nothing broken in them; of IOB1 as IOB2."""
    return list(tags) if scheme == "plain" else tags_of(spans(tags), len(tags), scheme)
