"""The answer by overlap of words (Richardson et al. 2013, "MCTest", algorithm 1; for spans as Rajpurkar et al. 2016): the span
whose surroundings share most with the question. It knows no grammar and has learned nothing."""

import math
import re
from collections import Counter
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from daedal.evaluation.predictors.words import words

_TOKEN = re.compile(r"\w+(?:[-'’.,]\w+)*|[^\w\s]")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])")
_STOPS = frozenset(
    words(
        "a an the of in on at to for from by with and or but as is are was were be been being it its this that these "
        "those he she they we you i his her their our who whom whose which what when where why how did do does had "
        "has have not no there than then so such if into about after before during between over under up down out "
        "also can could may might will would"
    )
)


class Token(NamedTuple):
    """A word or a mark of the context, in small letters, and where it stands."""

    word: str
    start: int
    end: int


def answer(question: str, context: str) -> str:
    """The best span of a context for a question; empty where there is none.

    Candidates are the longest runs of words of one sentence without a stop word, a mark or a word of the question. A word of
    the question near a candidate counts `log(1 + 1 / its count in the context)`, in a window as long as the question and the
    candidate; of equal ones the longest, then the first, is taken.
    """
    asked = {word for word in _words(question) if word not in _STOPS}
    sentences = _sentences(context)
    counts = Counter(token.word for sentence in sentences for token in sentence)
    best, found, width = (-1.0, 0), "", len(_words(question))
    for sentence in sentences:
        weights = [math.log(1 + 1 / counts[each.word]) if each.word in asked else 0.0 for each in sentence]
        sums = [0.0, *accumulate(weights)]
        for first, last in _candidates(sentence, asked):
            size = last - first + 1
            begins = range(max(0, first - width), first + 1)
            around = max(sums[min(len(sentence), begin + width + size)] - sums[begin] for begin in begins)
            if (around, size) > best:
                best, found = (around, size), context[sentence[first].start : sentence[last].end]
    return found


def _candidates(sentence: list[Token], asked: set[str]) -> list[tuple[int, int]]:
    """First and last words of spans that may be answers."""
    able = [each.word[0].isalnum() and each.word not in _STOPS and each.word not in asked for each in sentence]
    borders = np.flatnonzero(np.diff(np.array([False, *able, False]).astype(int)))
    return [(int(first), int(end) - 1) for first, end in borders.reshape(-1, 2)]


def _words(text: str) -> list[str]:
    return [found[0].lower() for found in _TOKEN.finditer(text) if found[0][0].isalnum()]


def _sentences(context: str) -> list[list[Token]]:
    """The tokens of each sentence."""
    borders = [0, *(found.end() for found in _SENTENCE.finditer(context)), len(context)]
    split = [
        [Token(found[0].lower(), found.start(), found.end()) for found in _TOKEN.finditer(context, begin, end)]
        for begin, end in pairwise(borders)
    ]
    return [sentence for sentence in split if sentence]
