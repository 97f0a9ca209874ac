"""Relative positions: a number for each head and distance, added to attention's logits (Raffel et al. 2020, T5)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class RelativeBias(nn.Module):
    """What a key at some distance is worth to each head. Near distances have a number each, farther ones share theirs with
    others about as far, and all from `farthest` on are one.

    Args:
        both_ways: what comes after is told from what came before; else nothing comes after.
    """

    def __init__(self, heads: int, buckets: int, farthest: int, both_ways: bool) -> None:
        super().__init__()
        self.buckets, self.farthest, self.both_ways = buckets, farthest, both_ways
        self.weight = nn.Parameter(torch.empty(buckets, heads))

    def forward(self, queries: int, keys: int) -> Float[Tensor, "1 heads queries keys"]:
        """Of so many queries and keys that begin at the same place."""
        device = self.weight.device
        return self.of(torch.arange(keys, device=device) - torch.arange(queries, device=device)[:, None])

    def of(self, distances: Int[Tensor, "queries keys"]) -> Float[Tensor, "1 heads queries keys"]:
        """Of keys that stand so far behind their query, or before it where that is negative."""
        return self.weight[self.bucket(distances)].permute(2, 0, 1).unsqueeze(0)

    def bucket(self, distances: Int[Tensor, "*any"]) -> Int[Tensor, "*any"]:
        """Which number distances share: half of the buckets are for one distance each, the others are logarithmic."""
        buckets = self.buckets // 2 if self.both_ways else self.buckets
        offset = (distances > 0) * buckets if self.both_ways else torch.zeros_like(distances)
        away = distances.abs() if self.both_ways else (-distances).clamp(min=0)
        single = buckets // 2
        ratio = torch.log(away.clamp(min=1).float() / single) / math.log(self.farthest / single)
        shared = (single + (ratio * (buckets - single)).long()).clamp(max=buckets - 1)
        return offset + torch.where(away < single, away, shared)
