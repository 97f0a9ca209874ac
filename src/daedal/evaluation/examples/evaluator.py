"""What all evaluators of examples with columns share: as many examples as there is time for, and what of them was learned."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool

from daedal.data.contamination import contaminated
from daedal.evaluation.blocks import Note
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.measurement import Measurement
from daedal.inference.generator import Generator

A = TypeVar("A")
_MOST_BYTES_SEARCHED = 64 * 2**20
_SEARCHED_PER_SECOND = 4e6  # bytes, on one core of 2023


class ExampleEvaluator(Evaluator[ExampleSubject]):
    """Asks a model about held-out examples, and compares."""

    sizes: ClassVar[Sequence[int]] = (50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 100_000)
    share = 0.6
    passes: ClassVar[float]
    """How often the model reads an example: by this the time is foretold while there is no generator to try."""
    at_once: ClassVar[int] = 64
    """How many examples it is asked about in one call; between these, progress is told."""

    @abstractmethod
    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        """The model's answers, one for each example."""

    def each(self, subject: ExampleSubject) -> float:
        return subject.seconds_each(type(self).__name__, self.passes, lambda some: self.ask(subject.generator, some))

    def count(self, subject: ExampleSubject, within: float) -> int:
        """All where there is time for all."""
        every = len(subject.held)
        return (
            every if every * self.each(subject) <= self.share * within else min(every, super().count(subject, within))
        )

    def seconds(self, subject: ExampleSubject, within: float) -> float:
        """The model's part, and for simple predictors and copies at most what is left of the time."""
        return self.count(subject, within) * self.each(subject) + min(self.rest(subject), (1 - self.share) * within)

    def rest(self, subject: ExampleSubject) -> float:
        """Seconds that simple predictors would take if there were no end of time."""
        return 0.0

    def answers(self, subject: ExampleSubject, within: float, tell: Tell, doing: str) -> tuple[Examples, list[Any]]:
        """The held-out examples that there is time for, and what the model says of them."""
        examples = subject.take(self.count(subject, within))
        found: list[Any] = []
        for first in range(0, len(examples), self.at_once):
            tell(0.8 * first / len(examples), doing)
            part = examples.at(np.arange(first, min(first + self.at_once, len(examples))))
            found += self.ask(subject.generator, part)
        tell(0.8, "simple predictors")
        return examples, found


def copies(
    subject: ExampleSubject, examples: Examples, text_of: Callable[[Examples], Sequence[str]]
) -> Bool[np.ndarray, " n"]:
    """Which held-out examples stand in the training text, as far as there is time to search it; none where there is no such."""
    if subject.train is None:
        return np.zeros(len(examples), dtype=bool)
    left = min(_MOST_BYTES_SEARCHED, int(subject.asked.seconds / 4 * _SEARCHED_PER_SECOND))
    texts = []
    for text in text_of(subject.train):
        left -= len(text)
        if left < 0:
            break
        texts.append(text)
    return contaminated(texts, text_of(examples))


def without_copies(
    known: Bool[np.ndarray, " n"], noun: str, measure: Callable[[Bool[np.ndarray, " n"]], Measurement | None]
) -> Findings:
    """The headline over what does not stand in the training text, and how much that is.

    Args:
        measure: the headline over some of the examples.
    """
    count = int(known.sum())
    if not count or count == len(known):
        said = "none" if not count else "all"
        return Findings(blocks=(Note(brief=f"of {len(known):,} held-out {noun}, {said} stand in the training text"),))
    found = measure(~known)
    told = f"{count:,} of {len(known):,} held-out {noun} stand in the training text"
    if found is None:
        return Findings(blocks=(Note(brief=told),))
    found = found.but(
        name=f"{found.name} without copies", definition=_condition(found.definition, "without=training-text")
    )
    return Findings((found,), blocks=(Note(brief=f"{told}: without them {found.shown().strip()}"),))


def _condition(definition: str, more: str) -> str:
    """A definition with one more condition. The quantity gets a name of its own: two numbers of one report would share it."""
    quantity, _, conditions = definition.partition("@")
    name, version = quantity.rsplit("/", 1)
    return f"{name}-without-copies/{version}@{','.join(filter(None, (conditions, more)))}"
