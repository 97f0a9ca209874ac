"""Group norm (Wu & He 2018), a scale and shift that a condition gives (FiLM; Perez et al. 2018), SiLU: one step."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.norm import group_norm

GROUP = 8


class FilmNorm(nn.Module):
    """`silu(norm(x) * (1 + scale) + shift)`. Scale and shift are learned; a condition, where it is told one, adds to them."""

    def __init__(self, width: int, condition: int = 0, activation: bool = True) -> None:
        super().__init__()
        self.groups = max(1, width // GROUP) if width % GROUP == 0 else 1
        self.activation = activation
        self.affine = nn.Parameter(torch.empty(2 * width))
        self.film = nn.Linear(condition, 2 * width, bias=False) if condition else None

    def forward(
        self, x: Float[Tensor, "batch channels height width"], condition: Float[Tensor, "batch condition"] | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        if self.film is None:
            scale, shift = self.affine.chunk(2)
            x = group_norm(x, self.groups, scale + 1, shift)
        else:
            scale, shift = (self.affine + self.film(condition))[:, :, None, None].chunk(2, 1)
            x = torch.addcmul(shift, group_norm(x, self.groups), scale + 1)
        return F.silu(x) if self.activation else x
