"""What every family of image models gives: pictures from latents, latents from pictures where it can, and what it can do.

A picture is `[channels, height, width]` with values from -1 to 1. A latent is whatever the family draws from its prior: a
vector, a grid, or a whole picture of noise.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from daedal.config import Config
from daedal.models.image_sampling import ImageSampling as ImageSampling
from daedal.models.model import START, Model, Moment
from daedal.nn.guidance import ClassifierFree
from daedal.nn.noise import Noise

T = TypeVar("T")
Images = Float[Tensor, "batch channels height width"]
Masks = Float[Tensor, "batch 1 height width"]
"""What is known of pictures: 1 is all, 0 is nothing."""
Latents = Float[Tensor, "batch *latent"]
Labels = Int[Tensor, "batch *window"]
"""The class of each picture, -1 where there is none; or the ids of its caption, with -1 before them."""


class ImageConfig(Config):
    """The pictures that a model knows; each family adds its network."""

    channels: int = Field(ge=1, le=64)
    height: int = Field(ge=4, le=1024)
    width: int = Field(ge=4, le=1024)
    classes: int = Field(0, ge=0, description="labels that condition it; 0 for none")
    words: int = Field(0, ge=0, le=2**24, description="ids of the captions that condition it; 0 for none")
    window: int = Field(0, ge=0, le=4096, description="ids of a caption")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class ImageBatch:
    """Pictures to learn from.

    Attributes:
        labels: the class of each, -1 where there is none; or the ids of its caption, with -1 before them.
        noise: the random numbers that belong to each.
    """

    images: Images
    labels: Labels
    noise: Noise
    moment: Moment = START

    @property
    def count(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "ImageBatch":
        return replace(self, images=self.images.to(device), labels=self.labels.to(device), noise=self.noise.to(device))

    def unlabelled(self, share: float) -> Labels:
        """The labels, hidden (-1) for a `share` of the examples: so a model learns both what to guide to and from where."""
        hidden = self.noise.uniform("label") < share
        return self.labels.masked_fill(hidden if self.labels.ndim == 1 else hidden[:, None], -1)

    def at(self, moment: Moment) -> "ImageBatch":
        """The same batch as part of a step."""
        return replace(self, moment=moment)


@dataclass(frozen=True)
class Sketch(Generic[T]):
    """Pictures that are being drawn.

    Attributes:
        done: how much of the work is done; 1 at the end.
        show: what is known of the pictures so far; at the end, the pictures.
    """

    done: float
    show: Callable[[], T]


Sketches = Iterator[Sketch[Tensor]]


class ImageModel(Model):
    """A family of image models.

    A family without `sample` (a tokenizer) leaves out `prior`; one without `interpolate` and `reconstruct` leaves out `encode`;
    one that draws nothing leaves out `decode`.
    """

    options: ClassVar[frozenset[str]] = frozenset()
    """The fields of `ImageSampling` that it honours."""
    prompted: ClassVar[ImageSampling] = ImageSampling()
    """How it draws what a prompt says, unless told otherwise."""
    inverted: ClassVar[ImageSampling] = ImageSampling()
    """How a picture's latents are found, and drawn, so that the picture comes back, unless told otherwise."""
    config: ImageConfig

    def prior(self, noise: Noise) -> Latents:
        """Latents drawn from what the model takes them to be."""
        raise NotImplementedError(f"{type(self).__name__} has no prior")

    def condition(self, count: int, labels: Labels | None, how: ImageSampling) -> tuple[Labels, Labels, ClassifierFree]:
        """For `count` pictures: the labels asked for, those that ask for nothing, and how strongly the first are asked for."""
        config, width = self.config, (self.config.window,) if self.config.words else ()
        nothing = torch.full((count, *width), -1, device=next(self.parameters()).device)
        scale = 1.0 if how.guidance is None or not (config.classes or config.words) else how.guidance
        return nothing if labels is None else labels, nothing, ClassifierFree(scale)

    def decode(self, latents: Latents, labels: Labels | None = None, how: ImageSampling | None = None) -> Images:
        """The pictures of latents."""
        raise NotImplementedError(f"{type(self).__name__} draws no pictures")

    def encode(self, images: Images, labels: Labels | None = None, how: ImageSampling | None = None) -> Latents:
        """The latents of pictures, as well as the family finds them."""
        raise NotImplementedError(f"{type(self).__name__} has no latents of pictures")

    def sample(self, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None) -> Images:
        """New pictures, one for each example of the noise; each depends on its own noise and label alone."""
        *_, last = self.drawing(noise, labels, how)
        return last.show()

    def drawing(self, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None) -> Sketches:
        """What `sample` does, step by step."""
        pictures = self.decode(self.prior(noise), labels, how)
        yield Sketch(1.0, lambda: pictures)

    def abreast(self, drawings: Sequence[Sketches]) -> list[Sketch[Tensor]]:
        """The next step of several of its drawings and edits, none of which has ended, as one batch where the family can."""
        return [next(drawing) for drawing in drawings]

    def mix(
        self, one: Float[Tensor, "*latent"], other: Float[Tensor, "*latent"], fraction: float
    ) -> Float[Tensor, "*latent"]:
        """The latent `fraction` of the way from one to the other, along a great circle: latents in between keep the length
        that the prior's have (White 2016, arXiv:1609.04468)."""
        a, b = one.flatten(), other.flatten()
        angle = torch.arccos((a @ b / (a.norm() * b.norm()).clamp_min(1e-12)).clamp(-1, 1))
        if float(angle) < 1e-3 or float(angle) > torch.pi - 1e-3:
            return torch.lerp(one, other, fraction)
        shares = torch.sin(torch.stack([(1 - fraction) * angle, fraction * angle])) / torch.sin(angle)
        return shares[0] * one + shares[1] * other

    def reconstruct(self, images: Images, labels: Labels | None = None) -> Images:
        """The pictures as they come through the model's latents."""
        return self.decode(self.encode(images, labels, self.inverted), labels, self.inverted)

    def edit(
        self, images: Images, known: Masks, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None
    ) -> Images:
        """The pictures with what is not known (0 in the mask) drawn anew to fit what is (1), which stays as it was."""
        *_, last = self.editing(images, known, noise, labels, how)
        return last.show()

    def editing(
        self, images: Images, known: Masks, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None
    ) -> Sketches:
        """What `edit` does, step by step."""
        raise NotImplementedError(f"{type(self).__name__} cannot draw parts of pictures")

    def log_likelihood(self, batch: ImageBatch, samples: int = 1) -> Float[Tensor, " batch"]:
        """Log-likelihood of each picture, or a lower bound that `samples` make tighter, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood")
