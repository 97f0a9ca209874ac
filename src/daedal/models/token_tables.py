"""Tables with a vector for each token: how they are made, read a few places back, and begun."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from daedal.nn.quantizer import Quantizer

_SMOOTH = 0.8  # of the variance


def token_table(rows: int, width: int) -> nn.Embedding:
    """An embedding that is not filled yet: filling one on the meta device makes PyTorch import for more than a second."""
    return nn.Embedding(rows, width, _weight=torch.empty(rows, width))


def earlier_vectors(
    table: nn.Embedding, ids: Int[Tensor, "batch total"], distance: int, there: Bool[Tensor, "*batch time"]
) -> Float[Tensor, "batch time width"]:
    """The vectors of the tokens so far before each of the last `time`, where they are `there`; none elsewhere."""
    back = F.pad(ids, (distance, 0))[:, : ids.shape[1]][:, -there.shape[-1] :]
    vectors: Tensor = table(back) * there[..., None]
    return vectors


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
