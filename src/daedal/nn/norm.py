"""Normalisation: root mean square (Zhang & Sennrich 2019), layer norm (Ba et al. 2016), group norm (Wu & He 2018)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.fused import rms_norm


class RMSNorm(nn.Module):
    """`x / rms(x)`, times a learned gain unless `gain` is false; statistics in fp32 whatever the input is."""

    def __init__(self, width: int, eps: float, gain: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(width)) if gain else None

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return rms_norm(x, self.weight, self.eps)


class QueryKeyNorm(nn.Module):
    """Brings each head's queries and keys to unit size (Henry et al. 2020); one gain for all queries, one for all keys."""

    def __init__(self, heads: int, kv_heads: int, head_width: int, eps: float, gain: bool = True) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.eps = heads, kv_heads, eps
        self.query = nn.Parameter(torch.empty(head_width)) if gain else None
        self.key = nn.Parameter(torch.empty(head_width)) if gain else None

    def forward(self, x: Float[Tensor, "batch time both width"]) -> Float[Tensor, "batch time both width"]:
        if self.query is None or self.key is None:
            return rms_norm(x, None, self.eps)
        gains = torch.cat((self.query.expand(self.heads, -1), self.key.expand(self.kv_heads, -1)))
        return rms_norm(x, gains, self.eps)


class LayerNorm(nn.Module):
    """Zero mean, unit variance, then a learned gain and, unless `bias` is false, a bias."""

    def __init__(self, width: int, eps: float, bias: bool = True) -> None:
        super().__init__()
        self.shape, self.eps = (width,), eps
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width)) if bias else None

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def group_norm(
    x: Float[Tensor, "batch channels *grid"], groups: int, weight: Tensor | None = None, bias: Tensor | None = None
) -> Float[Tensor, "batch channels *grid"]:
    """Each group of channels at zero mean and unit variance, in fp32 whatever the input is: PyTorch's kernel for bf16 takes
    a CPU three times as long."""
    return F.group_norm(x.float(), groups, weight, bias).to(x.dtype)


class GroupNorm(nn.GroupNorm):
    """`group_norm` with a learned gain and bias."""

    def forward(self, x: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch channels *grid"]:
        return group_norm(x, self.num_groups, self.weight, self.bias)
