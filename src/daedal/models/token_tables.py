"""The first vectors of a tokenizer's tokens."""

import math
from collections.abc import Iterable

import torch
from torch import nn

from daedal.nn.quantizer import Quantizer

_SMOOTH = 0.8  # of the variance


@torch.no_grad()
def smooth_tables(tables: Iterable[nn.Embedding], quantizer: Quantizer, generator: torch.Generator) -> None:
    """Let tokens that stand for nearly the same begin with nearly the same vectors: each channel of a table is, for the most
    part, a smooth function of the code drawn by chance (Rahimi & Recht 2007)."""
    tokens = torch.arange(quantizer.size, device=quantizer.counts.device)
    codes = quantizer.codes(tokens[None, None])[0, :, 0].mT.float().cpu()
    codes = (codes - codes.mean(0)) / codes.std(0).clamp_min(1e-6)
    for table in tables:
        width = table.embedding_dim
        angles = codes @ torch.randn(codes.shape[1], width, generator=generator)
        angles += 2 * math.pi * torch.rand(width, generator=generator)
        rows = table.weight[: len(codes)]
        smooth = math.sqrt(2) * rows.std() * angles.cos().to(rows.device)
        rows.mul_(math.sqrt(1 - _SMOOTH)).add_(smooth, alpha=math.sqrt(_SMOOTH))
