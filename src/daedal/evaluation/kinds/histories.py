"""A recommender and the histories of people: those that it learned from, whose last item was held out, and people that are held
out whole."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Int

from daedal.codecs.items import UNKNOWN, ItemCodec
from daedal.data.next_items import held, learned
from daedal.evaluation.evaluator import NotMeasurable
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.examples import ExampleSubject, held_out
from daedal.evaluation.report import DataFacts

Array = np.ndarray


class Cases(NamedTuple):
    """Histories, and the item that followed each.

    Attributes:
        data: SHA-256 of the examples that they are of.
    """

    histories: Sequence[Int[Array, " items"]]
    targets: Sequence[int]
    data: str

    @classmethod
    def of(cls, pairs: Sequence[tuple[Int[Array, " items"], int]], data: str) -> "Cases | None":
        """Pairs of a history and the item that followed; None where there is none."""
        return cls([history for history, _ in pairs], [target for _, target in pairs], data) if pairs else None

    def some(self, count: int, seed: int) -> "Cases":
        """So many, drawn by the seed; all where there are not more."""
        if count >= len(self.targets):
            return self
        drawn = np.random.Generator(np.random.Philox(seed)).choice(len(self.targets), max(1, count), replace=False)
        chosen = np.sort(drawn).tolist()
        return Cases([self.histories[at] for at in chosen], [self.targets[at] for at in chosen], self.data)


class HistorySubject(ExampleSubject):
    """A recommender and what people took."""

    kind = "histories"
    _learned_codec: ItemCodec | None = None

    @classmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        subject = super().of_task(task, seconds)
        subject._learned_codec = task.codec
        return subject

    @classmethod
    def require_held_out(cls, dataset: Any) -> None:
        split = dataset.split(held_out(dataset))
        if not any(len(row) > 2 for row in split.ragged("items")):  # with its end
            raise NotMeasurable(
                f"The held-out histories of {dataset.folder} have one item each", "Build the data with more in each"
            )

    @property
    def codec(self) -> ItemCodec:
        """The items that the model knows."""
        found: ItemCodec = self.generator.codec if self._learned_codec is None else self._learned_codec
        return found

    def ids(self, examples: Examples) -> list[Int[Array, " items"]]:
        """Histories as the model's ids."""
        return [np.asarray(self.codec.encode(each), dtype=np.int64) for each in examples["items"]]

    @cached_property
    def learned_from(self) -> list[Int[Array, " items"]]:
        """What the model learned from, where that is at hand."""
        left_out = self.model.config.left_out
        return [] if self.train is None else [learned(each, left_out) for each in self.ids(self.train)]

    @cached_property
    def by_time(self) -> Cases | None:
        """Of each long history that the model learned from, the last item, which it did not."""
        if self.train is None or not self.model.config.left_out:
            return None
        pairs = [pair for pair in (held(each, 1) for each in self.ids(self.train)) if pair is not None]
        return Cases.of(pairs, self.train.fingerprint)

    @cached_property
    def by_people(self) -> Cases | None:
        """The last item of each person that is held out."""
        pairs = [(each[:-1], int(each[-1])) for each in self.ids(self.held) if (each[:-1] != UNKNOWN).any()]
        return Cases.of(pairs, self.held.fingerprint)

    @property
    def data_facts(self) -> DataFacts:
        time, people = (0 if each is None else len(each.targets) for each in (self.by_time, self.by_people))
        parts = [f"the last item of {time:,} people that it learned from"] if time else []
        parts += [f"the last item of {people:,} people held out ({self.held.name})"] if people else []
        return super().data_facts.model_copy(update={"says": " and ".join(parts)})
