"""What texts are, by a model that learned it from labelled ones."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.codecs.framing import Framed
from daedal.config import Config
from daedal.inference.skills.rows import RowSkill, listed_texts, windows
from daedal.models.classifier import Classifier

Text = str | tuple[str, str]


class Classification(Config):
    """What a text is.

    Attributes:
        text: the text, or two that were read as one.
        label: the likeliest; of a number its name.
        probability: of the label.
        probabilities: of all labels, the likeliest first; none of a number.
        labels: those that it has: the likeliest one, or where a text may have several all that are at least as likely as not.
        value: the number that it is, where a number was learned.
        cut: whether it was too long to be read at once: then it was read in windows, and this is their mean.
    """

    text: Text
    label: str
    probability: float
    probabilities: dict[str, float]
    labels: tuple[str, ...]
    value: float | None = None
    cut: bool = False


class Classify(RowSkill):
    """The labels of texts."""

    name = "classify"
    learned: ClassVar[type[Classifier]] = Classifier
    needs = ("classify",)
    verb = "classify texts"

    @property
    def labels(self) -> tuple[str, ...]:
        """What a text may be."""
        found: tuple[str, ...] = self._model.config.labels
        return found

    def classify(self, texts: Text | Sequence[Text]) -> list[Classification]:
        """What each text is; a pair of texts is read as one, such as a sentence and what is claimed to follow from it.

        Raises:
            DaedalError: one is no text, or is empty and the tokenizer puts nothing around it.
        """
        given = listed_texts([texts] if isinstance(texts, tuple) else texts)
        pieces = [self._pieces(text) for text in given]
        said = iter(self._read([row for rows in pieces for row in rows], self._model))
        found = [self._mean([next(said) for _ in rows]) for rows in pieces]
        return [
            self._classification(text, row, len(rows) > 1) for text, row, rows in zip(given, found, pieces, strict=True)
        ]

    def _mean(self, logits: Sequence[Float[Tensor, " labels"]]) -> Float[Tensor, " labels"]:
        """The probabilities of a text's windows, or its number, as their mean."""
        together, problem = torch.stack(list(logits)).double(), self._model.config.problem
        if problem != "number":
            together = together.softmax(-1) if problem == "one" else together.sigmoid()
        return together.mean(0)

    def _classification(self, text: Text, found: Float[Tensor, " labels"], cut: bool) -> Classification:
        names, problem = self.labels, self._model.config.problem
        if problem == "number":
            return Classification(
                text=text, label=names[0], probability=1.0, probabilities={}, labels=names, value=float(found[0]),
                cut=cut,
            )  # fmt: skip
        order = found.argsort(descending=True, stable=True).tolist()
        chances = {names[number]: float(found[number]) for number in order}
        best = names[order[0]]
        has = (best,) if problem == "one" else tuple(name for name in names if chances[name] >= 0.5)
        return Classification(
            text=text, label=best, probability=chances[best], probabilities=chances, labels=has, cut=cut
        )

    def _pieces(self, text: Text) -> list[Framed]:
        """The rows of a text: itself, or windows of it that overlap by a quarter. Of two texts the longer one is cut, and the
        other where it takes more than half."""
        framing = self._codec.framing
        if isinstance(text, str):
            ids, room = self._codec.encode(text), self._context - framing.room
            return [framing.one(ids[begin:end]) for begin, end in windows(len(ids), room, room // 4)]
        one, other = self._codec.encode_batch(text)
        room = self._context - framing.room_of_two
        short = min(len(one), len(other), room // 2)
        rest = room - short
        if len(one) < len(other):
            return [framing.two(one[:short], other[begin:end]) for begin, end in windows(len(other), rest, rest // 4)]
        return [framing.two(one[begin:end], other[:short]) for begin, end in windows(len(one), rest, rest // 4)]
