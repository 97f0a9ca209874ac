"""A block of a convolutional network over time (ConvNeXt, Liu et al. 2022, in one dimension as Vocos has it, Siuzdak 2023).

What lies behind the end of a row is nothing to it: a row alone and in a batch of longer ones is the same.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

_FIRST = 0.1  # of what a new block adds


class TemporalBlock(nn.Module):
    """`x + scale * mlp(norm(conv(x)))`: a kernel for each feature, then a layer over all of them."""

    def __init__(self, width: int, kernel: int = 9, expansion: int = 3, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.scale = Parameter(Tensor(width))
        self.drop = nn.Dropout(dropout)

    def reset(self) -> None:
        """What a new block has besides the weights of its layers."""
        nn.init.constant_(self.scale, _FIRST)

    def forward(
        self, x: Float[Tensor, "batch time width"], there: Float[Tensor, "batch time 1"]
    ) -> Float[Tensor, "batch time width"]:
        """`there` is 1 where a row has something, else 0."""
        inner = self.norm(self.conv((x * there).mT).mT)
        made: Tensor = x + self.scale * self.drop(self.down(F.gelu(self.up(inner))))
        return made


@torch.no_grad()
def draw_layers(network: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of all layers of a network over time; what is added to their products begins at nothing."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            weight = module.weight
            weight.copy_(torch.randn(weight.shape, generator=generator) * weight[0].numel() ** -0.5)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.reset_parameters()
        elif isinstance(module, TemporalBlock):
            module.reset()
