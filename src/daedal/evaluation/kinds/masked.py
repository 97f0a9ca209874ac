"""A masked language model and held-out text: a split of its own data, of another data folder, or any files of text."""

import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from daedal.codecs.both_ways import marked
from daedal.codecs.text import TextCodec
from daedal.data.examples import ExampleDataset
from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import Subject, Tell
from daedal.evaluation.examples.presentation import presentation
from daedal.evaluation.kinds.examples import ExampleOptions
from daedal.evaluation.kinds.text import held_out, read_texts
from daedal.evaluation.masked_text import Hidden, MaskedText, judge
from daedal.evaluation.predictors.neighbours import MOST_TOKENS
from daedal.evaluation.report import DataFacts, ModelFacts, Presentation, origin
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator

_TRIED = 8
_SHAPE = ("architecture", "depth", "width", "heads", "context", "vocab_size")


class MaskedSubject(Subject):
    """A masked language model and the text to measure it on.

    Args:
        train: the texts that it learned from, where they are at hand.
        made: how these were built.
        notes: how files were read.
    """

    options = ExampleOptions
    fixed = 0.8

    def __init__(
        self, model: Any, held: MaskedText, train: Dataset | None, asked: ExampleOptions, opened: Generator | None = None,
        notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(opened)
        self.model, self.held, self.train, self.asked, self.notes = model, held, train, asked, tuple(notes)

    @classmethod
    def open(cls, generator: Generator, source: Source, options: ExampleOptions, tell: Tell) -> Self:
        data, notes = source.data, tuple[str, ...]()
        context, codec = generator.model.config.context, generator.codec
        if isinstance(data, Dataset):
            name = options.split or held_out(data)
            texts = _texts(data, name)
        elif isinstance(data, str | Path):
            texts, notes = read_texts(data)
            name = Path(data).name
        else:
            raise DaedalError(
                f"A masked language model is measured on text, and {data.folder} holds none", "Name other data"
            )
        learned = source.learned if isinstance(source.learned, Dataset) else None
        return cls(
            generator.model, MaskedText.of_texts(texts, codec, context, name), learned, options, generator, notes
        )

    @classmethod
    def of(cls, model: Any, dataset: Dataset, codec: TextCodec, seconds: float) -> Self:
        """A model that is being trained, and its data.

        Raises:
            NotMeasurable: nothing is held out.
        """
        name = held_out(dataset)
        held = MaskedText.of_texts(_texts(dataset, name), codec, model.config.context, name)
        return cls(model, held, dataset, ExampleOptions(seconds=seconds))

    @classmethod
    def require_held_out(cls, dataset: Dataset) -> None:
        held_out(dataset)

    @classmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        return cls.of(task.model, task.dataset, marked(task.dataset.codec), seconds)

    @property
    def can(self) -> frozenset[str]:
        found: frozenset[str] = self.model.capabilities
        return found

    @property
    def has(self) -> frozenset[str]:
        return frozenset({"text"})

    def seconds_left(self, taken: float) -> float:
        return max(1.0, self.asked.seconds - taken - self.fixed)

    @cached_property
    def seconds_per_token(self) -> float:
        """How long the model takes to read a token, from the second of two tries."""
        drawn = np.random.Generator(np.random.Philox(self.asked.seed)).choice(
            len(self.held), min(_TRIED, len(self.held)), False
        )
        hidden = [Hidden(int(at), np.zeros(1, dtype=np.int64)) for at in drawn]
        training, seconds = self.model.training, 0.0
        self.model.eval()
        for _ in range(2):
            started = time.perf_counter()
            judge(self.model, self.held, hidden)
            seconds = time.perf_counter() - started
        self.model.train(training)
        return seconds / float(self.held.lengths[drawn].sum())

    def learned_ids(self) -> list[Any]:
        """The training texts in the model's own tokens: as many as are counted of them."""
        assert self.train is not None
        split, found, count = self.train.split("train"), list[Any](), 0
        for first in range(0, split.documents, 256):
            texts = [split.text(index) for index in range(first, min(first + 256, split.documents))]
            found += [np.array(ids, dtype=np.int64) for ids in self.held.codec.encode_batch(texts)]
            count += sum(map(len, found[first:]))
            if count >= MOST_TOKENS:
                break
        return found

    @property
    def about(self) -> dict[str, Any]:
        """What its measurements are of."""
        return {"model_hash": self.hash, "data_hash": self.held.fingerprint}

    @property
    def model_facts(self) -> ModelFacts:
        config, parameters = self.model.config, self.model.parameter_count
        return ModelFacts(
            name=self.name, parameters=parameters, hash=self.hash, family=self.model.family, codec=self.held.codec.kind,
            says=f"{config.architecture} {self.model.family}, {parameters:,} parameters, context {config.context}",
            capabilities=tuple(sorted(self.can)), **{name: getattr(config, name) for name in _SHAPE if hasattr(config, name)},
        )  # fmt: skip

    @property
    def data_facts(self) -> DataFacts:
        held, made = self.held, None if self.train is None else self.train.manifest
        documents = len(np.unique(held.document))
        learned = None if self.train is None else self.train.split("train")
        size = {"documents": documents, "bytes": held.bytes, "tokens": len(held.ids)}
        says = f"{_documents(documents)}, {held.bytes:,} bytes, {len(held.ids):,} tokens"
        trained = "" if learned is None else f"{_documents(learned.documents)}, {learned.bytes:,} bytes"
        return DataFacts.parse({
            "name": held.name, "hash": held.fingerprint, "trained": trained, "notes": self.notes, **size,
            "says": f"{held.name}: {says}",
            "languages": [each.name for each in made.languages] if made else (), **origin(made.sources if made else ()),
        }, "data")  # fmt: skip

    @property
    def presentation(self) -> Presentation:
        return presentation(self.model, self.can)


def _documents(count: int) -> str:
    return f"{count:,} document{'s' * (count != 1)}"


def _texts(dataset: Dataset, name: str) -> list[str]:
    if isinstance(dataset, ExampleDataset):
        raise DaedalError(f"{dataset.folder} holds no text", "Name other data")
    split = dataset.split(name)
    return [split.text(index) for index in range(split.documents)]
