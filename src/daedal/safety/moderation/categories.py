"""The categories of OpenAI's moderation, and which labels of a classifier stand for them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.models.identity import identify

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
_MEANT = {
    "toxic": "harassment", "toxicity": "harassment", "insult": "harassment", "harassing": "harassment",
    "bullying": "harassment", "abusive": "harassment",
    "threat": "harassment/threatening", "threatening": "harassment/threatening",
    "hateful": "hate", "hate speech": "hate", "identity hate": "hate", "identity attack": "hate",
    "illegal": "illicit", "crime": "illicit",
    "suicide": "self-harm",
    "sexually explicit": "sexual", "sexual explicit": "sexual", "nsfw": "sexual", "pornography": "sexual",
    "violent": "violence",
    "graphic violence": "violence/graphic",
}  # fmt: skip
"""Labels by which data sets of toxic texts call what a category is about."""


@dataclass(frozen=True)
class ModerationCategories:
    """What is told of the categories, from what a classifier says of its labels.

    Attributes:
        labels: of each category, the places of its labels; none of one that the classifier knows nothing of.
        several: whether a text may have several labels.
    """

    labels: Mapping[str, tuple[int, ...]]
    several: bool

    @classmethod
    def of(cls, names: Sequence[str], problem: str, told: Mapping[str, str]) -> Self:
        """Those of a classifier.

        Args:
            names: of its labels.
            problem: what it learned: "one" label for a text, "several", or a "number".
            told: labels whose category was told; the others are taken by their names.

        Raises:
            DaedalError: it has no such label, there is no such category, or no label is for any.
        """
        if problem == "number":
            raise DaedalError("The moderation model tells a number, not labels", "Name a classifier of labels")
        for label, category in told.items():
            if label not in names:
                raise DaedalError(
                    f"The moderation model has no label {label!r}", f"Map one of its own: {', '.join(names[:20])}"
                )
            if category not in CATEGORIES:
                raise DaedalError(f"There is no category {category!r}", f"Use one of {', '.join(CATEGORIES)}")
        found = [told.get(name) or _meant(name) for name in names]
        if not any(found):
            raise DaedalError(
                f"No label of the moderation model is for a category: {', '.join(names[:20])}",
                f"Say which is, as {names[-1]}=harassment, by --map (of serve by --moderation-map)",
            )
        labels = {each: tuple(place for place, one in enumerate(found) if one == each) for each in CATEGORIES}
        return cls(labels, problem == "several")

    def scores(self, probabilities: Sequence[float]) -> dict[str, float]:
        """Of each category how likely a text is of it: of labels that exclude each other their sum, of others the likeliest;
        0 of one that has none."""
        of = {each: [probabilities[place] for place in places] for each, places in self.labels.items()}
        return {each: max(some, default=0.0) if self.several else min(1.0, sum(some)) for each, some in of.items()}

    @property
    def known(self) -> tuple[str, ...]:
        """Categories that have a label."""
        return tuple(each for each, places in self.labels.items() if places)

    def known_scores(self, probabilities: Sequence[float]) -> dict[str, float]:
        """The scores of those that have a label."""
        scores = self.scores(probabilities)
        return {each: scores[each] for each in self.known}

    @property
    def missing(self) -> tuple[str, ...]:
        """Categories of which nothing is known."""
        return tuple(each for each, places in self.labels.items() if not places)

    def told(self, names: Sequence[str]) -> str:
        """In a line for who starts the server."""
        known = [
            f"{each} ({', '.join(names[place] for place in places)})" for each, places in self.labels.items() if places
        ]
        unknown = f"; always false, for want of a label: {', '.join(self.missing)}" if self.missing else ""
        return f"{', '.join(known)}{unknown}"


def labels_of(folder: Path) -> tuple[list[str], str]:
    """The names of a classifier's labels, and its problem; read without PyTorch.

    Raises:
        DaedalError: it is no classifier, or its configuration is damaged.
    """
    if (identity := identify(folder)).kind != "labelled":
        raise DaedalError(
            f"--moderation: {folder} is no classifier but a {identity.family}", "Name a run of daedal train classifier"
        )
    values: Any = read_json(folder / "config.json")
    names = values.get("id2label") or {}
    problems = {"regression": "number", "multi_label_classification": "several"}
    return [str(names[key]) for key in sorted(names, key=int)], problems.get(values.get("problem_type"), "one")


def _meant(label: str) -> str | None:
    """The category that a label's name says."""
    words = " ".join(re.findall(r"[a-z0-9]+", label.lower()))
    plain = {" ".join(re.findall(r"[a-z]+", each)): each for each in CATEGORIES}
    return plain.get(words) or _MEANT.get(words)
