"""Tiny models for tests, whose every part does something, and pictures for them to learn."""

from typing import TypeVar

import torch

from daedal.codecs.text import TextCodec
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.image import ImageBatch, ImageConfig, ImageModel
from daedal.nn.noise import Noise

M = TypeVar("M", bound=ImageModel)


def tiny_gpt(codec: TextCodec, architecture: str = "qwen3", context: int = 16, seed: int = 0, width: int = 16) -> GPT:
    """A GPT whose predictions are far from uniform, so that a wrong window shows in the result."""
    config = GPTConfig.of(architecture, vocab_size=codec.vocab_size, width=width, depth=2, heads=2, context=context)  # type: ignore[arg-type]
    model = GPT(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model.eval()


def shaken(model: M, seed: int = 0) -> M:
    """The model with new weights, of which none stay where new ones do nothing."""
    generator = torch.Generator().manual_seed(seed)
    model.initialise(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return model


def pictures(config: ImageConfig, count: int, seed: int = 0) -> ImageBatch:
    """Pictures of chance, some with a class."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, *config.shape), generator=generator) / 127.5 - 1
    labels = torch.randint(-1, max(config.classes, 1), (count,), generator=generator)
    return ImageBatch(images, labels, Noise(seed, 100, count))


def part(batch: ImageBatch, start: int, stop: int) -> ImageBatch:
    """Some pictures of a batch, as a smaller batch of the same step."""
    return ImageBatch(batch.images[start:stop], batch.labels[start:stop], batch.noise.part(start, stop), batch.moment)
