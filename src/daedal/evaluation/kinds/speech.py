"""A model that speaks, held-out recordings of what it is to say, and a listener that judges."""

from typing import Any, Self

import numpy as np

from daedal.codecs.pronunciations import spelled
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import NotMeasurable, Tell
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.examples import ExampleOptions, ExampleSubject
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.training.listening import plain

_ADVICE = "Measure it with daedal evaluate RUN --judge EARS, a listener of the same data"


class SpeechOptions(ExampleOptions):
    """What may be asked of the evaluation of a model that speaks.

    Attributes:
        judge: the run folder of a listener, which says what it hears.
    """

    judge: str | None = None


class SpeechSubject(ExampleSubject):
    """A model that speaks, and what it is to say."""

    kind = "sounds"
    options = SpeechOptions
    judge: Generator

    @classmethod
    def open(cls, generator: Generator, source: Source, options: Any, tell: Tell) -> Self:
        if options.judge is None:
            raise DaedalError("Speech is measured by a listener, and none is named", _ADVICE)
        judge = Generator.open(options.judge)
        judge.require("transcribe")
        subject = super().open(generator, source, options, tell)
        config = generator.model.config
        column = "transcript" if config.characters else "label"
        if column not in subject.held.columns:
            raise DaedalError(
                f"Nothing says what is said in the recordings of {subject.held.name}", "Measure on other data"
            )
        able = [at for at, each in enumerate(subject.held[column]) if each is not None and _sayable(generator, each)]
        if not able:
            raise DaedalError("None of the recordings says what the model can say", "Measure on other data")
        subject.held = subject.used = subject.held.at(np.array(able))
        subject.judge = judge
        return subject

    @classmethod
    def require_held_out(cls, dataset: Any) -> None:
        raise NotMeasurable("Speech is measured by a listener", _ADVICE)


def told_by(config: Any, examples: Examples) -> list[str]:
    """What a model is told to say, of recordings that all say something."""
    values = examples["transcript" if config.characters else "label"]
    return [plain(each) if config.characters else str(each) for each in values]


def _sayable(generator: Generator, text: str) -> bool:
    config = generator.model.config
    if not config.characters:
        return text in config.labels
    return all(each in config.characters for each in spelled(plain(text), generator.pronunciations))
