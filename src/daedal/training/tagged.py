"""A tagger over sentences whose words have tags: the first token of each word is told its tag (Devlin et al. 2019, section
5.3)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.both_ways import first_tokens
from daedal.codecs.text import TextCodec
from daedal.models.model import IGNORE
from daedal.models.sequences import Sequences, TargetBatch, by_length, line
from daedal.models.tagger import Tagger
from daedal.nn.noise import Noise
from daedal.training.heads import HeadLearner
from daedal.training.rows import Rows, RowTask

Array = np.ndarray
_MOST = 256  # tokens of a sentence that are learned from


class TagRows(Rows):
    """Sentences, and the tags of their words."""

    def __init__(
        self, words: Sequence[Sequence[str]], tags: Sequence[Sequence[str]], names: Sequence[str], codec: TextCodec,
        longest: int,
    ) -> None:  # fmt: skip
        framing, number = codec.framing, {name: at for at, name in enumerate(names)}
        room = longest - framing.room
        self._rows: list[Any] = []
        self._targets: list[Array] = []
        read = codec.encode_with_places([" ".join(each) for each in words])
        for sentence, own, (ids, places) in zip(words, tags, read, strict=True):
            targets = np.full(len(ids), IGNORE, dtype=np.int64)
            for token, tag in zip(first_tokens(sentence, places), own, strict=True):
                if token is not None:
                    targets[token] = number.get(tag, IGNORE)
            row = framing.one(ids[:room])
            around = np.full(len(row.ids), IGNORE, dtype=np.int64)
            around[row.first : row.first + len(targets[:room])] = targets[:room]
            self._rows.append(row.ids)
            self._targets.append(around)
        self.lengths = np.array([len(row) for row in self._rows], dtype=np.int64)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> TargetBatch:
        rows, targets = ([each[int(index)] for index in indexes] for each in (self._rows, self._targets))
        order = by_length(rows)
        return TargetBatch(Sequences.of([rows[at] for at in order]), line([targets[at] for at in order]))


class TagTask(RowTask):
    """Trains a tagger; what counts are words."""

    unit = "words"
    model: Tagger

    def judge(self, batch: TargetBatch) -> dict[str, torch.Tensor]:
        return {"accuracy": (self.model(batch.sequences).argmax(-1) == batch.targets).sum()}


class TagLearner(HeadLearner):
    """A tagger and its sentences."""

    columns = ("words",)
    tasks = TagTask
    usual = _MOST

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the tags."""
        found: tuple[str, ...] = self.dataset.classes("tags")
        return found

    def more(self, plan: Any) -> dict[str, Any]:
        return {"labels": self.labels}

    def goes_on(self, model: Any) -> bool:
        return bool(model.config.labels == self.labels)

    def make_rows(self, split: str, longest: int) -> Rows:
        held = self.dataset.split(split)
        return TagRows(held.values("words"), held.values("tags"), self.labels, self.codec, longest)
