"""A model of clips and held-out ones: a split of its own data, of another data folder, or any files of clips."""

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import UInt8

from daedal.codecs.caption import tidy
from daedal.data.worlds.moving_scenes import MovingScene
from daedal.data.worlds.scenes import LARGEST_SIDE, SMALLEST_SIDE
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import NotMeasurable, Tell
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.examples import ExampleOptions, ExampleSubject
from daedal.evaluation.source import Source
from daedal.inference.clip import Clip
from daedal.inference.generator import Generator
from daedal.nn.noise import Noise
from daedal.training.clip_pictures import ClipPictures

Clips = UInt8[np.ndarray, "clips frames height width 3"]
_TRIED = 8  # clips that are made to see how long that takes; they are kept
_PROMPTS = 2000


class ClipSubject(ExampleSubject):
    """A model of clips and those to measure it on.

    Attributes:
        drawn: the frames of clips that the model made, when they are made.
    """

    kind = "clips"
    drawn: Clips | None = None
    _foretold = 0.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._made: list[Clip] = []
        self._taken = 0.0

    @classmethod
    def open(cls, generator: Generator, source: Source, options: ExampleOptions, tell: Tell) -> Self:
        subject = super().open(generator, source, options, tell)
        codec, shape = generator.codec, subject.held["clip"][0].values.shape
        if shape != (codec.frames, codec.height, codec.width, 3):
            raise DaedalError(
                f"The clips of {subject.held.name} are of {shape[0]} frames of {shape[1]} x {shape[2]} pixels, and the model's "
                f"of {codec.frames} of {codec.height} x {codec.width}",
                "Build the data at that size",
            )
        if subject.train is not None and subject.train["clip"][0].values.shape != shape:
            subject.train = None
        return subject

    @classmethod
    def reading(cls, generator: Generator) -> dict[str, Any]:
        """Files are read at the model's size."""
        return {"size": generator.codec.height, "frames": generator.codec.frames}

    @classmethod
    def require_held_out(cls, dataset: Any) -> None:
        if not isinstance(dataset, ClipPictures):
            raise NotMeasurable("This is measured on clips", "Look at its samples")
        super().require_held_out(dataset.dataset)

    @classmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        """A clip that is made alone takes longer than one beside others: what is foretold is rather too long."""
        model = task.whole
        subject = cls.of(model, task.dataset.dataset, seconds, 0.0)
        device, training = next(model.parameters()).device, model.training
        model.eval()
        started = time.perf_counter()
        window = (1, model.layout.window) if model.layout.window else (1,)
        model.sample(Noise(0, 0, 1, device), torch.full(window, -1, device=device))
        model.train(training)
        subject._foretold = time.perf_counter() - started
        return subject

    @property
    def has(self) -> frozenset[str]:
        """`truth` where they are moving scenes, which a judge can read, and `train` where what it learned from is at hand."""
        side = self.held["clip"][0].values.shape[1:3]
        readable = side[0] == side[1] and SMALLEST_SIDE <= side[0] <= LARGEST_SIDE
        there = {name for name, values in self.held.columns.items() if any(value is not None for value in values)}
        return frozenset((there if readable else there - {"truth"}) | ({"train"} if self.train is not None else set()))

    @property
    def seconds_a_clip(self) -> float:
        """How long the model takes for a clip: tried, or foretold from one that a model in training made."""
        if self.opened is None:
            return self._foretold
        if not self._made:
            self.filmed(_TRIED)
        return self._taken / len(self._made)

    @cached_property
    def asked_for(self) -> tuple[str, ...]:
        """What is said of held-out clips: captions, of long ones as much as the model can learn, or classes that it knows."""
        generator, columns = self.generator, self.held.columns
        if generator.captions is not None:
            told = (value for value in columns.get("caption", ()) if value is not None and tidy(value))
            return tuple(generator.captions.shortened(each) for each in islice(told, _PROMPTS))
        return tuple(islice((each for each in columns.get("label", ()) if each in generator.classes), _PROMPTS))

    def said(self, number: int) -> str:
        """What was asked for in a clip that was made."""
        return self.asked_for[number % len(self.asked_for)] if self.asked_for else ""

    def filmed(self, count: int, progress: Callable[[float], None] = lambda done: None) -> list[Clip]:
        """The first so many clips of the seed, each after what a held-out one says; those that were made before are kept."""
        started, first = time.perf_counter(), len(self._made)
        if count > first:
            by = "label" if self.generator.captions is None else "prompt"
            self._made += self.generator.generate(
                count - first, seed=self.asked.seed, first=first, progress=lambda done, total: progress(first + done),
                **({by: self.asked_for} if self.asked_for else {}),
            )  # fmt: skip
            self._taken += time.perf_counter() - started
        return self._made[:count]

    def learned_scenes(self) -> Iterator[MovingScene]:
        """What the clips that the model learned from show, where they are moving scenes."""
        truths = () if self.train is None else self.train.columns.get("truth", ())
        return (MovingScene.model_validate_json(truth) for truth in truths if truth)


def frames_of(examples: Examples) -> Clips:
    """The frames of examples."""
    return np.stack([signal.values for signal in examples["clip"]])


def pixels_of(clips: list[Clip]) -> Clips:
    """The frames of clips that were made."""
    return np.stack([np.stack([np.asarray(frame.convert("RGB")) for frame in clip.frames]) for clip in clips])
