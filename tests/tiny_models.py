"""Tiny models and codecs for tests of what is measured."""

import torch

from daedal.codecs.text import TextCodec
from daedal.models.gpt import GPT, GPTConfig


def tiny_gpt(codec: TextCodec, architecture: str = "qwen3", context: int = 16, seed: int = 0) -> GPT:
    """A GPT whose predictions are far from uniform, so that a wrong window shows in the result."""
    config = GPTConfig.of(architecture, vocab_size=codec.vocab_size, width=16, depth=2, heads=2, context=context)  # type: ignore[arg-type]
    model = GPT(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model.eval()
