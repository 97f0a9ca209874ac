"""Answers beside right ones: exact match and F1 of words, with SQuAD's own normalisation (Rajpurkar et al. 2016 and 2018)."""

import re
import string
from collections import Counter
from collections.abc import Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(answer: str) -> str:
    """In small letters, without punctuation of ASCII, articles, and more than single spaces."""
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def exact(said: str, right: Sequence[str]) -> float:
    """1 where it is one of the right answers, else 0."""
    return float(any(normalise(said) == normalise(each) for each in _golds(right)))


def f1(said: str, right: Sequence[str]) -> float:
    """The F1 of words with the right answer that it fits best, 0 to 1; where it or that is no answer, whether both are."""
    return max(_f1(normalise(said).split(), normalise(each).split()) for each in _golds(right))


def _golds(right: Sequence[str]) -> Sequence[str]:
    """No right answer is the answer that there is none, and what normalises to nothing is none (SQuAD 2.0)."""
    return [each for each in right if normalise(each)] or [""]


def _f1(said: list[str], right: list[str]) -> float:
    if not said or not right:
        return float(said == right)
    both = (Counter(said) & Counter(right)).total()
    return 2 * both / (len(said) + len(right))
