"""A classifier over labelled texts."""

from collections.abc import Mapping
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
from daedal.training.plan import Plan
from daedal.training.row_plan import ClassifierPlan
from daedal.training.rows import Rows, RowTask

Array = np.ndarray
_MOST = 512  # tokens of a text that are learned from


class LabelRows(Rows):
    """Texts and what they are."""

    def __init__(self, texts: list[Any], labels: Array, codec: TextCodec, longest: int) -> None:
        framing = codec.framing
        self._rows = [framing.one(text[: longest - framing.room]) for text in texts]
        self._labels = torch.from_numpy(labels)
        self.lengths = np.array([len(row.ids) for row in self._rows], dtype=np.int64)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> LabelBatch:
        rows = [self._rows[int(index)] for index in indexes]
        order = by_length([row.ids for row in rows])
        sequences = Sequences.of([rows[at].ids for at in order], [rows[at].types for at in order])
        return LabelBatch(sequences, self._labels[torch.from_numpy(indexes[order])])


class LabelTask(RowTask):
    """Trains a classifier."""

    unit = "texts"
    model: Classifier

    def judge(self, batch: LabelBatch) -> dict[str, torch.Tensor]:
        if self.model.config.problem != "one":
            return {}
        return {"accuracy": (self.model(batch.sequences).argmax(-1) == batch.labels).sum()}

    def sample(self, seed: int, path: Any) -> str:
        """What the model says of the first held-out texts."""
        batch = self.held.batch(np.arange(min(4, len(self.held))), Noise(seed, 0, 1))
        batch = batch.to(next(self.model.parameters()).device)
        names, said = self.model.config.labels, self.model(batch.sequences)
        lines = []
        for row, logits in enumerate(said):
            start, end = batch.sequences.packing.starts[row : row + 2]
            text = self.codec.decode(batch.sequences.ids[start:end].tolist())
            found = names[int(logits.argmax())] if len(names) > 1 else f"{float(logits[0]):.2f}"
            lines.append(f"{found}: {' '.join(text.split())[:100]}")
        return "\n".join(lines)


class LabelLearner(HeadLearner):
    """A classifier and its texts."""

    columns = ("text",)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes."""
        found: tuple[str, ...] = self.dataset.classes("label")
        if len(found) < 2:
            raise DaedalError(
                f"All texts of {self.asked.data} are of one class: there is nothing to learn",
                "Give texts of other classes too",
            )
        return found

    def more(self, plan: Any) -> dict[str, Any]:
        return {"labels": self.labels, "problem": "one"}

    def goes_on(self, model: Any) -> bool:
        return bool(model.config.labels == self.labels)

    def row_values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return (int(given.get("context") or self.most(_MOST)),)

    def make_rows(self, split: str, longest: int) -> Rows:
        held = self.dataset.split(split)
        labels, texts = held.classes("label"), self.ids(held, "text")
        known = np.flatnonzero(labels >= 0)  # a class that the train split has not cannot be learned
        return LabelRows([texts[at] for at in known], labels[known], self.codec, longest)

    def task(self, plan: Plan) -> LabelTask:
        assert isinstance(plan, ClassifierPlan)
        values, model = plan.model_dump(), self.begun(plan)
        train, held = (self.rows(split, values) for split in ("train", "validation"))
        assert isinstance(model, Classifier)
        assert isinstance(train, LabelRows)
        return LabelTask(model, train, held, plan, self.codec, self.dataset, self.columns)
