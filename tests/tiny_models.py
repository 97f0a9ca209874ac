"""Tiny models for tests, whose every part does something, and pictures for them to learn."""

from typing import Any, TypeVar

import torch

from daedal.codecs.both_ways import marked
from daedal.codecs.text import TextCodec
from daedal.models.encoder import EncoderModel
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.image import ImageBatch, ImageConfig, ImageModel
from daedal.models.translator import Translator, TranslatorConfig
from daedal.nn.noise import Noise

M = TypeVar("M", bound=ImageModel)
E = TypeVar("E", bound=EncoderModel)
N = TypeVar("N", bound=torch.nn.Module)


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


def tiny_codec(texts: list[str], vocab_size: int = 300) -> TextCodec:
    """The codec of a model that reads both ways."""
    return marked(TextCodec.train("bpe", texts, vocab_size))


def tiny_encoder(kind: type[E], codec: TextCodec, context: int = 32, seed: int = 0, **shape: Any) -> E:
    """A model that reads both ways, and says something else of each text.

    Args:
        shape: fields of its configuration.
    """
    from daedal.families import part

    config = part(f"{kind.__module__}:{kind.__name__}", "Config").of(
        "bert", **{"vocab_size": codec.vocab_size, "width": 16, "depth": 2, "heads": 2, "context": context, **shape}
    )
    return noisy(kind(config), seed)


def tiny_translator(codec: TextCodec, context: int = 32, seed: int = 0) -> Translator:
    """A translator whose translations mean nothing."""
    end = codec.eos_id or 0
    config = TranslatorConfig.of(
        "rotary", vocab_size=codec.vocab_size, width=16, depth=2, heads=2, context=context, start_id=end, end_id=end
    )
    return noisy(Translator(config), seed)


def noisy(model: N, seed: int) -> N:
    """The model with weights that are large enough to matter, those that begin as zeros too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
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
