"""The tag that a word has most often in the training text, whatever stands beside it (Charniak et al. 1993)."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from daedal.evaluation.measures.entities import OUTSIDE, plain


@dataclass(frozen=True)
class UsualTag:
    """
    Attributes:
        tags: of each word.
        unknown: the tag of words that were not seen: none, or of classes of words the most frequent.
    """

    tags: dict[str, str]
    unknown: str

    @classmethod
    def fit(cls, words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]]) -> Self:
        """Learn from sentences and the tags of their words."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        every: Counter[str] = Counter()
        for sentence, own in zip(words, tags, strict=True):
            for word, tag in zip(sentence, own, strict=True):
                counts[word][tag] += 1
                every[tag] += 1
        unknown = every.most_common(1)[0][0] if every and plain(tags) else OUTSIDE
        return cls({word: max(sorted(each), key=each.__getitem__) for word, each in counts.items()}, unknown)

    def __call__(self, words: Sequence[Sequence[str]]) -> list[list[str]]:
        """The tags of sentences."""
        return [[self.tags.get(word, self.unknown) for word in sentence] for sentence in words]
