"""How fast a model of pictures draws, scores and reconstructs, from a few timed ones: evaluators choose their sizes by it.

What they take comes from short lists, so that two runs of about the same speed have the same sizes and their numbers can be
compared.
"""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from daedal.config import Config
from daedal.evaluation.images.features import Extractor, Pictures
from daedal.models.image import ImageBatch, ImageModel, ImageSampling
from daedal.nn.noise import Noise

_LONG = 0.5  # seconds for a picture


class Speeds(Config):
    """Pictures a second; 0 for what the model cannot do."""

    draws: float
    scores: float = 0.0
    reconstructs: float = 0.0
    features: float = 3000.0


@torch.no_grad()
def model_speeds(model: ImageModel, count: int = 8) -> Speeds:
    """A first picture warms the model up; the speed is that of `count` more."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        count *= 8  # which take no longer
    noise = Noise(0, 0, count, device)
    labels = noise.integers("class", model.config.classes) if model.config.classes else None
    shown = torch.zeros(count, *model.config.shape, device=device)

    def draw(some: int) -> Tensor:
        return model.sample(noise.part(0, some), None if labels is None else labels[:some])

    def score(some: int) -> Tensor:
        unknown, _, _ = model.condition(some, None, ImageSampling())
        return model.log_likelihood(ImageBatch(shown[:some], unknown, noise.part(0, some)))

    works = {"sample": draw, "score": score, "reconstruct": lambda some: model.reconstruct(shown[:some])}
    was_training = model.training
    model.eval()
    try:
        draws, scores, reconstructs = (
            _rate(work, count, device) if capability in model.capabilities else 0.0
            for capability, work in works.items()
        )
    finally:
        model.train(was_training)
    return Speeds(draws=draws, scores=scores, reconstructs=reconstructs)


def extractor_speed(extractor: Extractor, pictures: Pictures) -> float:
    """Pictures a second that an extractor sees; a first one warms it up."""
    return _rate(lambda some: extractor(pictures[:some]).values, len(pictures), torch.device("cpu"))


def largest(choices: Sequence[int], most: float) -> int:
    """The largest of a list that is at most so much, or its first."""
    return max((choice for choice in choices if choice <= most), default=choices[0])


def _rate(work: Callable[[int], Tensor], count: int, device: torch.device) -> float:
    """Of so many, after one that warms up; of one, where that takes long. What a GPU does first tells nothing: it loads."""

    def seconds(some: int) -> float:
        started = time.perf_counter()
        float(work(some).sum())
        return max(1e-6, time.perf_counter() - started)

    alone = seconds(1)
    if alone > _LONG and device.type == "cuda":
        alone = seconds(1)
    return 1 / alone if alone > _LONG else count / seconds(count)
