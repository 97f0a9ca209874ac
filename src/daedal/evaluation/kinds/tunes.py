"""A model of tunes and held-out ones: a split of its own data, of another data folder, or any files of tunes."""

from functools import cached_property
from typing import Any, Self

from daedal.codecs.tune import Tune
from daedal.codecs.tune_codec import TuneCodec
from daedal.codecs.voices import Voices
from daedal.data.tune_windows import TuneWindows
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.examples import ExampleSubject


class TuneSubject(ExampleSubject):
    """A model of tunes and those to measure it on."""

    kind = "tunes"
    _learned: TuneCodec | None = None

    @classmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        subject = super().of_task(task, seconds)
        subject._learned = task.codec
        return subject

    @property
    def codec(self) -> TuneCodec:
        """What makes codes of its tunes."""
        found: TuneCodec = self.generator.codec if self._learned is None else self._learned
        return found

    @property
    def window(self) -> int:
        """Codes that it sees at once."""
        return int(self.model.config.context) - self.codec.opening + 1

    @property
    def per_step(self) -> int:
        """Codes of a step, where the codec is a grid of voices; else 1."""
        return self.codec.layout.voices if isinstance(self.codec.layout, Voices) else 1

    @property
    def unit(self) -> str:
        """What its likelihood is told of."""
        return "step" if isinstance(self.codec.layout, Voices) else "event"

    @cached_property
    def windows_each(self) -> float:
        """Windows of a held-out tune, on average."""
        few = self.held.some(16, self.asked.seed)
        rows = [self.codec.encode(tune) for tune in tunes_of(few)]
        return len(TuneWindows(rows, self.codec, self.window).judged()) / len(few)


def tunes_of(examples: Examples) -> list[Tune]:
    """The tunes in examples."""
    return [Tune.of_values(values) for values in examples["tune"]]
