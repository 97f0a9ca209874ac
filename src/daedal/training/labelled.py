"""A classifier over labelled texts."""

from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.models.classifier import Classifier
from daedal.models.sequences import LabelBatch, Sequences, by_length
from daedal.nn.noise import Noise
from daedal.training.heads import HeadLearner
from daedal.training.row_plan import ClassifierPlan
from daedal.training.rows import Rows, RowTask

Array = np.ndarray
_MOST = 512  # tokens of a text that are learned from


class LabelRows(Rows):
    """Texts, or pairs of them, and what they are; what is too long is cut at its end, of a pair the longer first."""

    def __init__(
        self, texts: list[Any], labels: Array, codec: TextCodec, longest: int, others: list[Any] | None = None
    ) -> None:
        framing = codec.framing
        if others is None:
            self._rows = [framing.one(text[: longest - framing.room]) for text in texts]
        else:
            room = longest - framing.room_of_two
            cut = (fitted(one, other, room) for one, other in zip(texts, others, strict=True))
            self._rows = [framing.two(one, other) for one, other in cut]
        self._labels = torch.from_numpy(labels.astype(np.float32) if labels.dtype != np.int64 else labels)
        self.lengths = np.array([len(row.ids) for row in self._rows], dtype=np.int64)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> LabelBatch:
        rows = [self._rows[int(index)] for index in indexes]
        order = by_length([row.ids for row in rows])
        sequences = Sequences.of([rows[at].ids for at in order], [rows[at].types for at in order])
        return LabelBatch(sequences, self._labels[torch.from_numpy(indexes[order])])


def fitted(one: Any, other: Any, room: int) -> tuple[Any, Any]:
    """Two texts cut so that both fit: the longer first."""
    keep = max(room - len(other), (room + 1) // 2)
    one = one[:keep]
    return one, other[: room - len(one)]


class LabelTask(RowTask):
    """Trains a classifier."""

    unit = "texts"
    model: Classifier

    def judge(self, batch: LabelBatch) -> dict[str, torch.Tensor]:
        said, problem = self.model(batch.sequences), self.model.config.problem
        if problem == "one":
            return {"accuracy": (said.argmax(-1) == batch.labels).sum()}
        if problem == "several":
            return {"accuracy": ((said > 0) == (batch.labels > 0.5)).all(1).sum()}
        return {"error": (said[:, 0] - batch.labels).abs().sum()}

    def sample(self, seed: int, path: Any) -> str:
        """What the model says of the first held-out texts, on a line."""
        batch = self.held.batch(np.arange(min(4, len(self.held))), Noise(seed, 0, 1))
        batch = batch.to(next(self.model.parameters()).device)
        names, said = self.model.config.labels, self.model(batch.sequences)
        shown = []
        for row, logits in enumerate(said):
            start, end = batch.sequences.packing.starts[row : row + 2]
            text = self.codec.decode(batch.sequences.ids[start:end].tolist())
            found = names[int(logits.argmax())] if len(names) > 1 else f"{float(logits[0]):.2f}"
            shown.append(f"{' '.join(text.split())[:60]} -> {found}")
        return " | ".join(shown)


class LabelLearner(HeadLearner):
    """A classifier and its texts."""

    columns = ("text",)
    tasks = LabelTask
    usual = _MOST

    @property
    def around(self) -> int:
        return self.codec.framing.room_of_two + 1 if self.dataset.has("text_b") else super().around

    @property
    def problem(self) -> str:
        """What a text is: one class, any of several, or a number."""
        return {"classes": "one", "sets": "several", "numbers": "number"}[self.dataset.stored("label")]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes; that of the number.

        Raises:
            DaedalError: all texts have one class only, one number, or the same set of classes.
        """
        targets = self.dataset.split("train").target("label")
        if len(targets) and bool((targets == targets[0]).all()):
            what = {"one": "are of one class", "several": "have the same classes", "number": "have one number"}
            raise DaedalError(
                f"All texts of {self.asked.data} {what[self.problem]}: there is nothing to learn",
                "Give texts with other labels too",
            )
        return ("number",) if self.problem == "number" else tuple(self.dataset.classes("label"))

    def more(self, plan: Any) -> dict[str, Any]:
        values: dict[str, Any] = {"labels": self.labels, "problem": self.problem}
        if plan is None:
            return values
        assert isinstance(plan, ClassifierPlan)
        values |= {"pooling": plan.pooling, "smoothing": plan.smoothing}
        return values | ({"weights": self._weights()} if plan.balance else {})

    def _weights(self) -> tuple[float, ...]:
        """Of each class: as many times as it is rarer than others."""
        labels = self.dataset.split("train").target("label")
        if self.problem == "several":
            has = labels.sum(0).clip(1)
            return tuple(float(each) for each in (len(labels) - has).clip(1) / has)
        counts = np.bincount(labels[labels >= 0], minlength=len(self.labels)).clip(1)
        return tuple(float(each) for each in counts.sum() / (len(counts) * counts))

    def goes_on(self, model: Any) -> bool:
        return (model.config.labels, model.config.problem) == (self.labels, self.problem)

    def make_rows(self, split: str, longest: int) -> Rows:
        held = self.dataset.split(split)
        labels, texts = held.target("label"), self.ids(held, "text")
        others = self.ids(held, "text_b") if self.dataset.has("text_b") else None
        if self.problem == "one":  # a class that the train split has not cannot be learned
            known = np.flatnonzero(labels >= 0)
            labels, texts = labels[known], [texts[at] for at in known]
            others = None if others is None else [others[at] for at in known]
        return LabelRows(texts, labels, self.codec, longest, others)
