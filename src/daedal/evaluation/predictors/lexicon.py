"""Translating word by word, in the order of the source, by a lexicon that is learned from the pairs: IBM Model 1 (Brown et al.
1993), fitted by expectation maximisation."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Int

from daedal.evaluation.predictors.words import as_written, words

Array = np.ndarray
ROUNDS = 8
MOST_PAIRS = 50_000
"""So many pairs are learned from: some seconds."""
_LONGEST = 60
"""Words of a side: what is longer is cut, since each is paired with each."""
_MOST_CELLS = 16_000_000
"""So many words beside words are learned from, about a GiB: of long texts fewer pairs."""
SECONDS_PER_CELL = 1.2e-6
"""On one core of 2023."""
_NOTHING = ""
"""What words of the target come from that come from no word of the source."""
_NO_SPACE = frozenset(".,;:!?)]}%")


@dataclass(frozen=True)
class Lexicon:
    """
    Attributes:
        best: of each word of the source language the likeliest one in the target's; none where it most likely has none.
        written: how each word of the target language is mostly written.
        capital: whether most texts of it begin with a capital.
        pairs: how many were learned from.
    """

    best: dict[str, str]
    written: dict[str, str]
    capital: bool
    pairs: int

    @classmethod
    def fit(cls, sources: Sequence[str], targets: Sequence[str]) -> Self:
        """Learn from pairs.

        Every target word comes from one source word, or none, of its pair, each place as likely as any. One round: `t(f | e)`
        is the share of word `f` in what the last round's `t` says comes from `e`.
        """
        ours = [words(text)[:_LONGEST] for text in sources]
        theirs = [words(text)[:_LONGEST] for text in targets]
        fits = int(np.searchsorted(np.cumsum([_cells(*pair) for pair in zip(ours, theirs, strict=True)]), _MOST_CELLS))
        ours, theirs = ours[: max(1, fits)], theirs[: max(1, fits)]
        known, said = _numbers([[_NOTHING]]), dict[str, int]()
        left = _ids([[_NOTHING, *text] for text in ours], known)
        right = _ids(theirs, said)
        source, target, place = _every_pair(left, right)
        # the same two words may meet in many pairs: each couple has one probability
        couples, couple = np.unique(source.astype(np.int64) * len(said) + target, return_inverse=True)
        of_source = (couples // max(1, len(said))).astype(np.int64)
        chance = np.ones(len(couples))
        for _ in range(ROUNDS):
            weight = chance[couple]
            total = np.bincount(place, weights=weight)
            counts = np.bincount(couple, weights=weight / total[place], minlength=len(couples))
            chance = counts / np.bincount(of_source, weights=counts, minlength=len(known))[of_source]
        names, others = list(known), list(said)
        order = np.lexsort((couples, -chance, of_source))
        first = order[np.unique(of_source[order], return_index=True)[1]]
        best = {names[of_source[at]]: others[int(couples[at]) % len(said)] for at in first}
        best.pop(_NOTHING, None)
        capital = 2 * sum(text[:1].isupper() for text in targets) > len(targets)
        return cls(best, _written(targets), capital, len(ours))

    def __call__(self, texts: Iterable[str]) -> list[str]:
        """Each word's likeliest translation; a word that was not seen stays as it is."""
        return [self._translate(text) for text in texts]

    def _translate(self, text: str) -> str:
        said = [self.best.get(word, word) for word in words(text)]
        out = ""
        for word in said:
            shown = self.written.get(word, word)
            out += shown if not out or word in _NO_SPACE else f" {shown}"
        return out[:1].upper() + out[1:] if self.capital else out


def cells_of_a_pair(sources: Sequence[str], targets: Sequence[str]) -> float:
    """How many words stand beside words in a pair, on average over some."""
    some = range(0, len(sources), max(1, len(sources) // 200))
    return float(np.mean([_cells(words(sources[at])[:_LONGEST], words(targets[at])[:_LONGEST]) for at in some]))


def _cells(one: Sequence[str], other: Sequence[str]) -> int:
    return (1 + len(one)) * len(other)


def _numbers(texts: Iterable[Iterable[str]]) -> dict[str, int]:
    return {word: place for place, word in enumerate(dict.fromkeys(word for text in texts for word in text))}


def _ids(texts: Iterable[Sequence[str]], known: dict[str, int]) -> list[Int[Array, " words"]]:
    """The numbers of words; those that are not known yet get the next."""
    return [np.array([known.setdefault(word, len(known)) for word in text], dtype=np.int32) for text in texts]


def _every_pair(
    left: Sequence[Int[Array, " words"]], right: Sequence[Int[Array, " words"]]
) -> tuple[Int[Array, " n"], Int[Array, " n"], Int[Array, " n"]]:
    """Each word of a source with each of its target, and which target word, counted through, that is."""
    source = np.concatenate([np.tile(one, len(other)) for one, other in zip(left, right, strict=True)])
    lengths = np.concatenate([np.full(len(other), len(one)) for one, other in zip(left, right, strict=True)])
    target = np.repeat(np.concatenate(right), lengths)
    return source, target, np.repeat(np.arange(len(lengths)), lengths)


def _written(texts: Iterable[str]) -> dict[str, str]:
    """How each word is mostly written where it does not begin a text: in German with a capital, say."""
    counts = Counter(word for text in texts for word in as_written(text)[1:])
    found: dict[str, str] = {}
    for word, _ in counts.most_common():
        found.setdefault(word.lower(), word)
    return found
