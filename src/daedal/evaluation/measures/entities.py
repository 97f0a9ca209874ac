"""What sequences of tags name: spans of words with a type, as conlleval (Tjong Kim Sang and Buchholz 2000) and seqeval have it.

All schemes by one rule: IOB1, IOB2 and BIOES differ in where a span begins and ends beside another, and a tag that fits none
of them begins a span where its type changes. Tags without `B-`, `I-`, `E-`, `S-` name nothing but their word's class.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from daedal.evaluation.measures.share import share

OUTSIDE = "O"
_BEGINS, _ENDS = frozenset("BS"), frozenset("ES")


class Span(NamedTuple):
    """Words `first` to `last`, the last included, and what they are."""

    type: str
    first: int
    last: int


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that tags name."""
    found: list[Span] = []
    begun, before = -1, (OUTSIDE, "")
    for place, tag in enumerate([*tags, OUTSIDE]):
        mark, type = _parts(tag)
        changed = type != before[1]
        if begun >= 0 and (before[0] in _ENDS or mark in _BEGINS or mark == OUTSIDE or changed):
            found.append(Span(before[1], begun, place - 1))
            begun = -1
        if mark != OUTSIDE and (begun < 0 or mark in _BEGINS):
            begun = place
        before = mark, type
    return found


def plain(tags: Sequence[Sequence[str]]) -> bool:
    """Whether tags are classes of words, such as parts of speech, and name no spans."""
    return not any(_is_marked(tag) for sentence in tags for tag in sentence)


def iob2(named: Sequence[Span], length: int) -> list[str]:
    """The tags of so many words that name these spans; of two that overlap the first."""
    tags = [OUTSIDE] * length
    for type, first, last in named:
        if tags[first : last + 1] == [OUTSIDE] * (last + 1 - first):
            tags[first : last + 1] = [f"B-{type}", *[f"I-{type}"] * (last - first)]
    return tags


def counts(
    right: Sequence[Sequence[Span]], said: Sequence[Sequence[Span]], types: Sequence[str]
) -> Float[np.ndarray, "sentences three_times_types"]:
    """Of each sentence and type: the spans that are rightly said, that are said, and that are there, end to end. One is right
    where type, beginning and end are."""
    place = {type: at for at, type in enumerate(types)}
    table = np.zeros((len(right), 3, len(types)))
    for row, (true, found) in enumerate(zip(right, said, strict=True)):
        for column, of in enumerate((set(true) & set(found), set(found), set(true))):
            for type in _known(of, place):
                table[row, column, place[type]] += 1
    return table.reshape(len(right), -1)


def _known(of: set[Span], place: dict[str, int]) -> Iterator[str]:
    return (span.type for span in of if span.type in place)


def precision(sums: Float[np.ndarray, "replicates three_times_types"]) -> Float[np.ndarray, " replicates"]:
    """Of all types together: how many of those that were said are right."""
    right, said, _ = (part.sum(-1) for part in np.split(sums, 3, axis=-1))
    return share(right, said)


def recall(sums: Float[np.ndarray, "replicates three_times_types"]) -> Float[np.ndarray, " replicates"]:
    """How many of those that are there were found."""
    right, _, true = (part.sum(-1) for part in np.split(sums, 3, axis=-1))
    return share(right, true)


def _parts(tag: str) -> tuple[str, str]:
    """The mark and the type of a tag; a plain one begins and ends nothing, and changes with its type."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    return (tag[0], tag[2:]) if _is_marked(tag) else ("I", tag)


def _is_marked(tag: str) -> bool:
    return len(tag) > 2 and tag[0] in "BIES" and tag[1] == "-"
