"""Parts of convolutional networks: a residual block, halving and doubling of the picture, and first weights.

Halving folds each 2 x 2 square into channels (space to depth) and mixes them, doubling unfolds: nothing is lost, and no
convolution runs at full resolution, where it would cost most.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.norm import GroupNorm


def group_norm(width: int) -> GroupNorm:
    """GroupNorm (Wu & He 2018) with the most groups, up to 8, that divide `width` and are of two channels at least: a group of
    one value, as on a grid of one place, would be norm alone."""
    return GroupNorm(
        max(groups for groups in range(1, 9) if width % groups == 0 and 2 * groups <= max(2, width)), width
    )


class ResidualBlock(nn.Module):
    """`x + conv(silu(norm(conv(silu(norm(x))))))`: 3 x 3 convolutions, the identity when new."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(width), nn.Conv2d(width, width, 3, padding=1)
        self.norm2, self.conv2 = group_norm(width), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch width h w"]:
        inner = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(inner)))  # type: ignore[no-any-return]


class Halve(nn.Sequential):
    """From `[inputs, 2h, 2w]` to `[outputs, h, w]`: each square's values side by side, then a convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1) -> None:
        super().__init__(nn.PixelUnshuffle(2), nn.Conv2d(4 * inputs, outputs, kernel, padding=kernel // 2))


class Double(nn.Sequential):
    """From `[inputs, h, w]` to `[outputs, 2h, 2w]`: a convolution, its channels then laid out as squares."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1) -> None:
        super().__init__(nn.Conv2d(inputs, 4 * outputs, kernel, padding=kernel // 2), nn.PixelShuffle(2))


def _levels(filters: int, halvings: int) -> list[int]:
    """Channels from the largest picture to the smallest: half as many where there are more places."""
    return [max(1, filters // 2)] * (halvings - 1) + [filters]


class Encoder(nn.Sequential):
    """Pictures halved `halvings` times, `depth` residual blocks where they are smallest."""

    def __init__(self, channels: int, filters: int, depth: int, halvings: int) -> None:
        levels = _levels(filters, halvings)
        super().__init__(Halve(channels, levels[0], kernel=3))
        for finer, coarser in pairwise(levels):
            self.extend([group_norm(finer), nn.SiLU(), Halve(finer, coarser)])
        self.extend([ResidualBlock(filters) for _ in range(depth)])
        self.extend([group_norm(filters), nn.SiLU()])


class Decoder(nn.Sequential):
    """The way back."""

    def __init__(self, channels: int, filters: int, depth: int, halvings: int) -> None:
        levels = _levels(filters, halvings)
        super().__init__(*(ResidualBlock(filters) for _ in range(depth)))
        for finer, coarser in reversed(list(pairwise(levels))):
            self.extend([group_norm(coarser), nn.SiLU(), Double(coarser, finer)])
        self.extend([group_norm(levels[0]), nn.SiLU(), Double(levels[0], channels, kernel=3)])


def pad_to_multiple(images: Float[Tensor, "batch c h w"], multiple: int) -> Float[Tensor, "batch c height width"]:
    """Repeats the last row and column until both sides are multiples of `multiple`."""
    height, width = images.shape[-2:]
    down, right = -height % multiple, -width % multiple
    return F.pad(images, (0, right, 0, down), mode="replicate") if down or right else images


@torch.no_grad()
def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """First weights of every part that this room knows: variance kept (LeCun), biases nothing, norms the identity, and
    residual blocks the identity. Drawn on the CPU, so that a seed means the same network on every device."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight
            weight.copy_(torch.randn(weight.shape, generator=generator) * weight[0].numel() ** -0.5)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.GroupNorm):
            module.weight.fill_(1.0)
            module.bias.zero_()
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            module.conv2.weight.zero_()
