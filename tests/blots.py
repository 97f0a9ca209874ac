"""A model of images for tests that do not care which: blots whose class is their brightness. It can do everything."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from daedal.codecs.image import PixelCodec
from daedal.inference.generator import Generator
from daedal.models.image import ImageBatch, ImageConfig, ImageModel, Sketch
from daedal.models.model import Loss
from daedal.nn.noise import Noise


class Blots(ImageModel):
    """A latent is a picture of noise; `gain` makes it brighter, and so does a high class."""

    family = "blots"
    capabilities = frozenset({"sample", "class", "interpolate", "reconstruct", "edit", "score"})
    options = frozenset({"temperature", "steps"})

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.config = config
        self.gain = nn.Parameter(torch.tensor(0.5))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        self.gain.fill_(0.5)

    def prior(self, noise: Noise) -> Tensor:
        return noise.normal("latent", *self.config.shape)

    def decode(self, latents: Tensor, labels: Tensor | None = None, how: Any = None) -> Tensor:
        heat = (how and how.temperature) or 1.0
        return torch.tanh(latents * self.gain * heat + self._shift(latents, labels))

    def encode(self, images: Tensor, labels: Tensor | None = None, how: Any = None) -> Tensor:
        return (torch.atanh(images.clamp(-0.9, 0.9)) - self._shift(images, labels)) / self.gain

    def editing(
        self, images: Tensor, known: Tensor, noise: Noise, labels: Tensor | None = None, how: Any = None
    ) -> Iterator[Sketch]:
        drawn = known * images + (1 - known) * self.sample(noise, labels, how)
        yield Sketch(1.0, lambda: drawn)

    def log_likelihood(self, batch: ImageBatch, samples: int = 1) -> Tensor:
        return -0.5 * self.encode(batch.images, batch.labels).square().flatten(1).sum(1)

    def loss(self, batch: ImageBatch, player: str = "model") -> Loss:
        return Loss(-self.log_likelihood(batch).sum() / batch.moment.count)

    def _shift(self, like: Tensor, labels: Tensor | None) -> Tensor:
        if labels is None or not self.config.classes:
            return torch.zeros(len(like), 1, 1, 1)
        return labels.clamp_min(0)[:, None, None, None] / self.config.classes


def generator(
    classes: tuple[str, ...] = (), channels: int = 3, height: int = 8, width: int = 8, model: type[ImageModel] = Blots
) -> Generator:
    """A generator of blots."""
    config = ImageConfig(channels=channels, height=height, width=width, classes=len(classes))
    return Generator(model(config), PixelCodec(channels, height, width), "blots", classes=classes)  # type: ignore[call-arg]
