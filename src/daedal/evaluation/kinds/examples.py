"""A model of examples with columns (labelled texts, questions, tagged words, pairs) and held-out ones: a split of its own data,
of another data folder, or any files that `daedal data build` reads as its kind."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field

from daedal.config import Config
from daedal.data.examples import ExampleDataset
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import NotMeasurable, Subject, Tell
from daedal.evaluation.examples.held_out import Examples, read_examples
from daedal.evaluation.examples.presentation import presentation
from daedal.evaluation.report import DataFacts, ModelFacts, Presentation, origin
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.kinds import table
from daedal.models.model import Model

SECONDS = 120.0
"""What an evaluation may take unless more is given."""
_TRIED = 16
_SHAPE = ("architecture", "depth", "width", "heads", "context", "vocab_size")


class ExampleOptions(Config):
    """What may be asked of the evaluation of a model of examples with columns.

    Attributes:
        split: of a data folder: validation, or test where that is empty, unless given.
        seconds: about how long it may take; the larger the data, the smaller the part of it that is measured then.
        seed: of the choice of examples where not all are taken, and of intervals.
    """

    split: str | None = None
    seconds: float = Field(SECONDS, gt=0)
    seed: int = 0


class ExampleSubject(Subject):
    """A model of examples with columns and those to measure it on.

    Args:
        train: what it learned from, where that is at hand.
        made: how that was built.
        forward: seconds that the model takes to read an example, where it is not there to be tried.

    Attributes:
        used: what is measured, when it is chosen.
    """

    options = ExampleOptions
    fixed = 2.0
    kind: ClassVar[str]
    """Of example: a line of `daedal.kinds`."""

    def __init__(
        self, model: Model, held: Examples, train: Examples | None, asked: ExampleOptions, opened: Generator | None = None,
        made: Any = None, forward: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(opened)
        self.model: Any = model
        self.held, self.train, self.asked, self.made, self.forward = held, train, asked, made, forward
        self.used = held
        self._speeds: dict[str, float] = {}

    @classmethod
    def open(cls, generator: Generator, source: Source, options: ExampleOptions, tell: Tell) -> Self:
        data, learned = source.data, source.learned
        if isinstance(data, ExampleDataset):
            if data.manifest.kind != cls.kind:
                raise _other(cls.kind, data.folder, data.manifest.kind)
            held = Examples.of_split(data, options.split or held_out(data))
        elif isinstance(data, str | Path):
            held = read_examples(data, cls.kind, **cls.reading(generator))
        else:
            raise _other(cls.kind, getattr(data, "folder", data), "none")
        train = made = None
        if isinstance(learned, ExampleDataset) and learned.manifest.kind == cls.kind and len(learned.split("train")):
            train, made = Examples.of_split(learned, "train"), learned.manifest
        return cls(generator.model, held, train, options, generator, made)

    @classmethod
    def reading(cls, generator: Generator) -> dict[str, Any]:
        """Options by which files are read."""
        return {}

    @classmethod
    def of(cls, model: Model, dataset: ExampleDataset, seconds: float, forward: float) -> Self:
        """A model that is being trained, and its data.

        Raises:
            NotMeasurable: nothing is held out.
        """
        held, train = (Examples.of_split(dataset, name) for name in (held_out(dataset), "train"))
        return cls(model, held, train, ExampleOptions(seconds=seconds), forward=forward)

    @classmethod
    def require_held_out(cls, dataset: ExampleDataset) -> None:
        held_out(dataset)

    @classmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        return cls.of(task.model, task.dataset, seconds, forward_seconds(task))

    @property
    def can(self) -> frozenset[str]:
        found: frozenset[str] = (self.opened or self.model).capabilities
        return found

    @property
    def has(self) -> frozenset[str]:
        """The columns of which some example has a value."""
        return frozenset(name for name, values in self.held.columns.items() if any(each is not None for each in values))

    def seconds_left(self, taken: float) -> float:
        return max(1.0, self.asked.seconds - taken - self.fixed)

    def seconds_each(self, name: str, passes: float, ask: Callable[[Examples], Any]) -> float:
        """How long the model takes for an example: tried, or foretold by how often it reads one."""
        if self.opened is None:
            return passes * self.forward
        if name not in self._speeds:
            tried = self.held.some(_TRIED, self.asked.seed)
            ask(tried.some(2, 0))  # the first call is slower
            started = time.perf_counter()
            ask(tried)
            self._speeds[name] = (time.perf_counter() - started) / len(tried)
        return self._speeds[name]

    def take(self, count: int) -> Examples:
        """So many held-out examples, drawn by the seed where these are not all."""
        self.used = self.held.some(count, self.asked.seed)
        return self.used

    def learned(self, seconds: float, each: float, most: int) -> Examples | None:
        """What a simple predictor is to learn from in so many seconds: as much of the training examples as fits."""
        if self.train is None:
            return None
        fits = most if each <= 0 or not math.isfinite(seconds) else max(100, int(seconds / each))
        return self.train.some(min(most, fits), self.asked.seed)

    @property
    def about(self) -> dict[str, Any]:
        """What its measurements are of."""
        return {"model_hash": self.hash, "data_hash": self.used.fingerprint}

    @property
    def model_facts(self) -> ModelFacts:
        config, parameters = self.model.config, self.model.parameter_count
        shape = {name: getattr(config, name) for name in _SHAPE if hasattr(config, name)}
        says = [f"{shape['architecture']} {self.model.family}" if "architecture" in shape else self.model.family]
        says += [f"{parameters:,} parameters", *([f"context {shape['context']}"] if "context" in shape else [])]
        return ModelFacts(
            name=self.name, parameters=parameters, hash=self.hash, says=", ".join(says), family=self.model.family,
            capabilities=tuple(sorted(self.can)), **shape,
        )  # fmt: skip

    @property
    def data_facts(self) -> DataFacts:
        held, used, noun = self.held, len(self.used), table()[self.kind].noun[1]
        part = f"{used:,} of {len(held):,}" if used < len(held) else f"{used:,}"
        return DataFacts(
            name=held.name, hash=self.used.fingerprint, says=f"{held.name}: {part} {noun}",
            trained="" if self.train is None else f"{len(self.train):,} {noun}", notes=held.notes,
            **origin(() if self.made is None else self.made.sources), examples=len(held), used=used,
            train_examples=0 if self.train is None else len(self.train),
        )  # fmt: skip

    @property
    def presentation(self) -> Presentation:
        return presentation(self.model, self.can)


class LabelledSubject(ExampleSubject):
    """A classifier and texts with what they are."""

    kind = "labelled"

    @classmethod
    def reading(cls, generator: Generator) -> dict[str, Any]:
        """Labels are what the model says that they are, however few of a file look it."""
        return {"label": {"one": "class", "several": "classes", "number": "number"}[generator.model.config.problem]}


class TaggedSubject(ExampleSubject):
    """A tagger and sentences with the tags of their words."""

    kind = "tagged"


class SoundSubject(ExampleSubject):
    """A listener and recordings with what is said of them."""

    kind = "sounds"


class QuestionSubject(ExampleSubject):
    """An answerer and questions about texts."""

    kind = "questions"


class PairSubject(ExampleSubject):
    """A translator or an embedder and pairs of texts."""

    kind = "pairs"


class PreferenceSubject(ExampleSubject):
    """A reward model and pairs of answers; those that stand alone are left out."""

    kind = "preferences"

    def __init__(self, model: Model, held: Examples, train: Examples | None, *more: Any, **others: Any) -> None:
        train = None if train is None else _compared(train)
        super().__init__(model, _compared(held), train if train else None, *more, **others)
        if not len(self.held):
            raise NotMeasurable(
                f"{held.name} holds no pairs of answers", "Measure on pairs of a chosen and a rejected one"
            )


def _compared(examples: Examples) -> Examples:
    """Those of which one answer is preferred to another."""
    pairs = zip(examples["chosen"], examples["rejected"], strict=True)
    return examples.at(np.array([at for at, two in enumerate(pairs) if None not in two], dtype=np.int64))


@torch.no_grad()
def forward_seconds(task: Any) -> float:
    """How long a model that is being trained (`daedal.training.task.Task`) takes to read an example, from the second of two
    batches."""
    model, training, seconds = task.model, task.model.training, 0.0
    device = next(model.parameters()).device
    model.eval()
    try:
        for _ in range(2):
            batch = task.batch(0, _TRIED).to(device)
            started = time.perf_counter()
            model.loss(batch)
            seconds = (time.perf_counter() - started) / _TRIED
    finally:
        model.train(training)
    return seconds


def held_out(dataset: ExampleDataset) -> str:
    """The split to measure on.

    Raises:
        NotMeasurable: nothing is held out.
    """
    for name in ("validation", "test"):
        if len(dataset.split(name)):
            return name
    raise NotMeasurable(
        f"{dataset.folder} holds out no {dataset.kind.nouns} to measure on",
        "Build the data with a larger --split for it",
    )


def _other(kind: str, place: Any, holds: str) -> DaedalError:
    """That data are of another kind."""
    wanted = table()[kind]
    what = f"This model is measured on {wanted.noun[1]} ({wanted.says}), and {place} holds {holds}"
    return DaedalError(what, "Name other data")
