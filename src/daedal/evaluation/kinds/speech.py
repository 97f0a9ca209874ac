"""A model that speaks, held-out recordings of what it is to say, and a listener that judges where one is named."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Int

from daedal.codecs.pronunciations import spelled
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import NotMeasurable, Tell
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.examples import ExampleOptions, ExampleSubject
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.inference.sound import Sound
from daedal.training.listening import plain

ADVICE = "daedal evaluate RUN --judge EARS, with a listener of the same data"


class SpeechOptions(ExampleOptions):
    """What may be asked of the evaluation of a model that speaks.

    Attributes:
        judge: the run folder of a listener, which says what it hears.
    """

    judge: str | None = None


@dataclass(frozen=True)
class Spoken:
    """What was spoken, beside held-out recordings.

    Attributes:
        said, by: what is said in each recording, and by whom; None for anybody.
        real: the recordings.
        places: of the recordings of which the model was to say the same in the same voice.
        made: what it said.
        copied: those recordings as they come back from what the model learns of them, by its own `way` back to sound.
    """

    said: list[str]
    by: list[str | None]
    real: list[Sound]
    places: Int[np.ndarray, " spoken"]
    made: list[Sound]
    copied: list[Sound]
    way: str

    def __len__(self) -> int:
        return len(self.places)

    @property
    def own(self) -> list[Sound]:
        """The recordings of which the model was to say the same."""
        return [self.real[at] for at in self.places]

    @property
    def asked(self) -> list[tuple[str, str | None]]:
        """What the model was to say, and in whose voice."""
        return [(self.said[at], self.by[at]) for at in self.places]

    def alike(self, place: int) -> list[int]:
        """The other recordings that say what one does in the same voice."""
        told = (self.said[place], self.by[place])
        return [at for at in range(len(self.real)) if at != place and (self.said[at], self.by[at]) == told]


class SpeechSubject(ExampleSubject):
    """A model that speaks, and what it is to say.

    Attributes:
        judge: what listens; None where none is named.
        spoken: by the first evaluator.
    """

    kind = "sounds"
    options = SpeechOptions
    judge: Generator | None = None
    spoken: Spoken | None = None

    @classmethod
    def open(cls, generator: Generator, source: Source, options: Any, tell: Tell) -> Self:
        judge = _judge(options.judge)
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
        if judge is not None:
            _require_knowing(judge, bool(config.characters), subject.held[column])
        subject.judge = judge
        return subject

    @classmethod
    def require_held_out(cls, dataset: Any) -> None:
        raise NotMeasurable("Speech is measured by a listener", f"Measure it with {ADVICE}")

    @property
    def has(self) -> frozenset[str]:
        """The columns, the listener, and what was learned from where that is at hand."""
        known = {"judge": self.judge, "train": self.train}
        return super().has | {name for name, each in known.items() if each is not None}


class VocoderSubject(ExampleSubject):
    """A vocoder and recordings.

    Attributes:
        judge: what listens; None where none is named.
    """

    kind = "sounds"
    options = SpeechOptions
    judge: Generator | None = None

    @classmethod
    def open(cls, generator: Generator, source: Source, options: Any, tell: Tell) -> Self:
        judge = _judge(options.judge)
        subject = super().open(generator, source, options, tell)
        if judge is not None and not judge.model.config.characters and "label" in subject.held.columns:
            _require_knowing(judge, False, subject.held["label"])
        subject.judge = judge
        return subject


def _judge(run: str | None) -> Generator | None:
    """
    Raises:
        DaedalError: it is no listener.
    """
    if run is None:
        return None
    judge = Generator.open(run)
    judge.require("transcribe")
    return judge


def told_by(config: Any, examples: Examples) -> list[str]:
    """What a model is told to say, of recordings that all say something."""
    values = examples["transcript" if config.characters else "label"]
    return [plain(each) if config.characters else str(each) for each in values]


def _sayable(generator: Generator, text: str) -> bool:
    config = generator.model.config
    if not config.characters:
        return text in config.labels
    return all(each in config.characters for each in spelled(plain(text), generator.pronunciations))


def _require_knowing(judge: Generator, spelled: bool, said: Sequence[str | None]) -> None:
    """Make sure that a listener can tell what recordings say, and is not simply always wrong.

    Raises:
        DaedalError: it has learned no transcripts, or none of their classes.
    """
    config = judge.model.config
    if not config.characters if spelled else not {*config.labels} & {*said}:
        what = "no transcripts" if spelled else "none of the classes that are said here"
        raise DaedalError(f"The listener {judge.name} has learned {what}", "Name one of the same data by --judge")
