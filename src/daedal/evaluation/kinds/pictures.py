"""A model of pictures and held-out ones: a split of its own data, of another data folder, or a folder of pictures."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from jaxtyping import Int, UInt8

from daedal.codecs.caption import tidy
from daedal.codecs.image import PixelCodec
from daedal.config import Config
from daedal.data.images.dataset import ImageDataset
from daedal.evaluation.evaluator import NotMeasurable, Subject, Tell
from daedal.evaluation.images.extractors import default_extractor, open_extractor
from daedal.evaluation.images.features import Extractor, Request
from daedal.evaluation.images.reference import Reference, held_out, of_data, open_reference
from daedal.evaluation.images.speeds import extractor_speed, largest, model_speeds
from daedal.evaluation.report import DataFacts, ModelFacts, Presentation, origin
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.models.coded import TokenModel
from daedal.models.image import ImageModel

SECONDS = 25.0
"""What an evaluation may take unless more is given."""
REFERENCE = (250, 500, 1000, 2000)
"""How many held-out pictures may be taken."""
_TRIED = 8
"""Pictures that an extractor is tried with to see how fast it is."""
_VIEWS = (15_000, 30_000, 60_000, 120_000, 240_000)
_VIEWS_A_SECOND = 5000.0  # on one core of 2023


class PictureOptions(Config):
    """What may be asked of the evaluation of a model of pictures.

    Attributes:
        samples: how many pictures to draw; what fits into `seconds` unless given.
        extractor: `inception`, `mobilenet@PATH`, `classifier` or `random`; what the data allows unless given.
        resize: the rule by which pictures are brought to the extractor's size; its usual one unless given.
        seconds: about how long it may take.
        seed: of the samples and of every choice.
    """

    samples: int | None = None
    extractor: str | None = None
    resize: str | None = None
    seconds: float = SECONDS
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """Samples and the classes that were asked for, -1 for none."""

    pictures: UInt8[np.ndarray, "n height width channels"]
    labels: Int[np.ndarray, " n"]


def _tokens_of_others() -> NotMeasurable:
    return NotMeasurable(
        "Tokens of clips and of sounds are measured with the model that learns them", "Look at its samples"
    )


class PictureSubject(Subject):
    """A model of pictures and those to measure it against.

    Attributes:
        extractor: by what samples are seen; None where the model draws none.
        drawn: samples, when they are drawn.
    """

    options = PictureOptions
    fixed = 3.0

    def __init__(
        self, model: ImageModel, reference: Reference, asked: PictureOptions, opened: Generator | None = None
    ) -> None:
        super().__init__(opened)
        self.model, self.reference, self.asked = model, reference, asked
        self.extractor: Extractor | None = None
        self.drawn: Drawn | None = None
        self.speeds = model_speeds(model)
        self.held = self.take(REFERENCE[-1])

    @classmethod
    def open(cls, generator: Generator, source: Source, options: PictureOptions, tell: Tell) -> Self:
        if not isinstance(generator.codec, PixelCodec):
            raise _tokens_of_others()
        subject = cls(generator.model, open_reference(source, generator.codec), options, generator)
        if "sample" in subject.can:
            tell(0.1, "making the extractor")
            name, learned = subject._extractor_name, subject.reference.train_data
            by = open_extractor(name, Request(
                dataset=learned, resize=options.resize, views=subject._views, device=generator.device,
                progress=lambda share: tell(0.1 + 0.9 * share, "training the classifier"),
            ))  # fmt: skip
            speed = extractor_speed(by, np.asarray(subject.reference.pictures[:_TRIED]))
            subject.extractor, subject.speeds = by, subject.speeds.but(features=speed)
        return subject

    @classmethod
    def of(cls, model: ImageModel, dataset: ImageDataset, seconds: float) -> Self:
        """A model that is being trained, and its data.

        Raises:
            NotMeasurable: too little is held out.
        """
        return cls(model, of_data(dataset, dataset.codec, dataset), PictureOptions(seconds=seconds))

    @classmethod
    def require_held_out(cls, dataset: Any) -> None:
        if not isinstance(dataset, ImageDataset):
            raise _tokens_of_others()
        held_out(dataset)

    @classmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        return cls.of(task.whole, task.dataset, seconds)

    @property
    def can(self) -> frozenset[str]:
        """`tokens` where its own are those of a GPT, and so have a likelihood."""
        found = self.opened.capabilities if self.opened is not None else self.model.capabilities
        spoken = frozenset() if self.model.config.words else frozenset({"prompt", "caption"})
        return (found - spoken) | ({"tokens"} if isinstance(self.model, TokenModel) else frozenset())

    @property
    def has(self) -> frozenset[str]:
        there = {
            "train": self.reference.train_pictures is not None, "truth": self.reference.scenes,
            "captions": any(tidy(caption) for caption in self.reference.captions),
        }  # fmt: skip
        return frozenset({"pictures", *(name for name, known in there.items() if known)})

    @property
    def opening_seconds(self) -> float:
        """What opening takes: a classifier is trained, where samples are seen by one."""
        return self._views / _view_rate(math.prod(self.model.config.shape)) if self._trains else 0.0

    def seconds_left(self, taken: float) -> float:
        """A classifier that had to be trained leaves less, but not so little that nothing could be said."""
        return max(2.0, max(self.asked.seconds / 3, self.asked.seconds - taken) - self.fixed)

    def take(self, count: int) -> Reference:
        """So many held-out pictures, which all evaluators measure against from then on."""
        self.held = self.reference.some(count)
        return self.held

    @cached_property
    def about(self) -> dict[str, Any]:
        """What its measurements are of."""
        return {"model_hash": self.hash, "data_hash": self.reference.fingerprint}

    @property
    def model_facts(self) -> ModelFacts:
        channels, height, width = self.model.config.shape
        return ModelFacts(
            name=self.name, parameters=self.model.parameter_count, hash=self.hash,
            says=f"{self.model.family}, {self.model.parameter_count:,} parameters, {width} x {height} x {channels}",
            family=self.model.family, channels=channels, height=height, width=width, classes=self.generator.classes,
            capabilities=tuple(sorted(self.generator.capabilities)),
        )  # fmt: skip

    @property
    def data_facts(self) -> DataFacts:
        reference, used = self.reference, len(self.held.pictures)
        train = reference.train_data
        learned = 0 if train is None else train.split("train").count
        drawn = f", by {len(self.drawn.pictures):,} samples" if self.drawn is not None else ""
        return DataFacts(
            name=reference.name, hash=reference.fingerprint,
            says=f"{reference.name}: {used:,} of {len(reference.pictures):,} pictures{drawn}",
            trained=f"{learned:,} pictures" if learned else "",
            **origin(() if train is None else train.manifest.sources),
            pictures=len(reference.pictures), used=used, train_pictures=learned,
        )  # fmt: skip

    @property
    def presentation(self) -> Presentation:
        channels, height, width = self.model.config.shape
        can, limits = self.can, _LIMITS_OF_MATCHING if "match" in self.can else _LIMITS
        task, use = next((each for name, each in _USES.items() if name in can), _USES["reconstruct"])
        size = f"{width} x {height} pixels of {channels} channel{'s' * (channels > 1)}"
        return Presentation(
            what=f"A {self.model.family} model of images of {size}", data="images", task=task, tag=self.model.family,
            use=f'```python\nimport daedal\n\nmodel = daedal.load("PATH/TO/THIS/FOLDER")\n{use}\n```', limits=limits,
            headlines=(
                "fid", "kid", "precision", "recall", "bits-per-dimension", "reconstruction-psnr", "text-recall-1",
                "picture-recall-1",
            ),
        )  # fmt: skip

    @property
    def _extractor_name(self) -> str:
        return self.asked.extractor or default_extractor(self.reference.train_data)

    @property
    def _trains(self) -> bool:
        return self._extractor_name == "classifier" and self.reference.train_data is not None and "sample" in self.can

    @property
    def _views(self) -> int:
        """How many pictures a classifier is shown while it learns."""
        if not self._trains:
            return _VIEWS[2]
        left = max(2.0, self.asked.seconds - self.fixed)
        return largest(_VIEWS, 0.6 * left * _view_rate(math.prod(self.model.config.shape)))


_USES = {
    "prompt": ("text-to-image", 'model.generate(1, prompt="what to draw", seed=1)[0].save("picture.png")'),
    "sample": ("unconditional-image-generation", 'model.generate(1, seed=1)[0].save("picture.png")'),
    "match": ("zero-shot-image-classification", 'print(model.classify(["picture.png"], ["a text", "another text"]))'),
    "reconstruct": ("image-to-image", 'model.reconstruct(["picture.png"])[0].save("both.png")'),
}
"""The Hub's task and a line of Python, by the first capability that a model has."""
_LIMITS = (
    "For learning, experiments and play. It draws pictures like those it was trained on, with their errors and prejudices, and "
    "may copy some of them; look at the nearest training pictures above. It was not filtered for safety."
)
_LIMITS_OF_MATCHING = (
    "For learning, experiments and play. It knows the pictures and words that it was trained on, with their errors and "
    "prejudices, and finds some text nearest to any picture, however little it fits. Decide nothing about people by it."
)


def _view_rate(pixels: int) -> float:
    """Pictures a second that a classifier learns from; it sees large ones made small."""
    return _VIEWS_A_SECOND * float(min(1.0, 1024 / max(1, min(pixels, 3072))) ** 0.4)
