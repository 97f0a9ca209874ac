"""Normalisation: root mean square (Zhang & Sennrich 2019) and layer norm (Ba et al. 2016)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """`x / rms(x)`, times a learned gain unless `gain` is false; statistics in fp32 whatever the input is."""

    def __init__(self, width: int, eps: float, gain: bool = True) -> None:
        super().__init__()
        self.shape, self.eps = (width,), eps
        self.weight = nn.Parameter(torch.empty(width)) if gain else None

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return F.rms_norm(x, self.shape, self.weight, self.eps)


class LayerNorm(nn.Module):
    """Zero mean, unit variance, then a learned gain and bias."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.shape, self.eps = (width,), eps
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width))

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)
