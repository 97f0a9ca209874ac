"""The verdict on a text: which categories it is of, by the rules that it fits and the probabilities that a classifier gives.

A score is 1 where a rule fits, else the classifier's probability; a text is flagged where one reaches the threshold. What is
too long for a classifier is read in overlapping pieces, and a category has the score of its worst piece.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from daedal.config import Config
from daedal.safety.moderation.categories import ModerationCategories
from daedal.safety.moderation.rules import RuleMatch, Rules

THRESHOLD = 0.5
PIECE, OVERLAP = 1000, 200
"""Characters that a classifier is given at once, and those that a piece has in common with the one before."""

Classify = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""The probabilities of the labels of each of some texts."""


class Reason(Config):
    """Why a text is flagged.

    Attributes:
        by: what says so.
        found: the words that a rule fits, where they are known.
    """

    category: str
    by: Literal["rule", "classifier"]
    score: float
    found: str = ""


class Verdict(Config):
    """What is said of a text.

    Attributes:
        scores: of each category that is known, 0 to 1.
        reasons: the worst first; none of a text that is not flagged.
    """

    flagged: bool
    scores: dict[str, float]
    reasons: tuple[Reason, ...] = ()

    @property
    def category(self) -> str:
        """The one that weighs most; "none" where it is not flagged."""
        return self.reasons[0].category if self.reasons else "none"


def decide(
    text: str, matches: Iterable[RuleMatch], scores: Mapping[str, float], threshold: float, names: Iterable[str] = ()
) -> Verdict:
    """The verdict.

    Args:
        scores: of the classifier, by category.
        names: categories of the rules.
    """
    found: dict[str, str] = {}
    for match in matches:
        found.setdefault(match.category, text[match.begin : match.end])
    reasons = [Reason(category=name, by="rule", score=1.0, found=words) for name, words in found.items()]
    reasons += sorted(
        (
            Reason(category=name, by="classifier", score=score)
            for name, score in scores.items()
            if score >= threshold and name not in found
        ),
        key=lambda one: -one.score,
    )
    every = {**dict.fromkeys(names, 0.0), **scores, **dict.fromkeys(found, 1.0)}
    return Verdict(flagged=bool(reasons), scores=every, reasons=tuple(reasons))


def pieces(text: str) -> list[str]:
    """A text as a classifier reads it: one that is blank is not read at all."""
    step = PIECE - OVERLAP
    cut = [text[begin : begin + PIECE] for begin in range(0, max(1, len(text) - OVERLAP), step)]
    return [piece for piece in cut if piece.strip()]


def worst(scores: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Of each category the highest score that a piece has."""
    highest: dict[str, float] = {}
    for each in scores:
        for name, score in each.items():
            highest[name] = max(score, highest.get(name, 0.0))
    return highest


class Moderator:
    """Judges texts.

    Args:
        rules: None for none.
        classify: a classifier; None for none.
        categories: which of its labels are what.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        classify: Classify | None = None,
        categories: ModerationCategories | None = None,
        threshold: float = THRESHOLD,
    ) -> None:
        self.rules, self.threshold = rules, threshold
        self._classify, self._categories = classify, categories

    def judge(self, texts: Sequence[str]) -> list[Verdict]:
        """The verdict on each text."""
        scores: list[dict[str, float]] = [{} for _ in texts]
        if self._classify is not None and self._categories is not None:
            cut = [pieces(text) for text in texts]
            flat = [piece for some in cut for piece in some]
            told = iter(self._classify(flat) if flat else ())
            known = self._categories
            scores = [
                worst([dict.fromkeys(known.known, 0.0), *(known.known_scores(next(told)) for _ in some)])
                for some in cut
            ]
        rules = self.rules
        return [
            decide(
                text,
                rules.find(text) if rules else (),
                score,
                self.threshold,
                rules.categories if rules else (),
            )
            for text, score in zip(texts, scores, strict=True)
        ]
