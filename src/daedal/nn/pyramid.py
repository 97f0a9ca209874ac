"""The two networks of a GAN over pictures: one grows a picture from a coarse grid, the other shrinks it to a number.

- No normalisation: residual blocks whose last convolution starts at zero, and LeakyReLU (Huang et al. 2025, arXiv:2501.05441)
- The finest grid of features is coarser than the picture by `patch`: convolutions at full resolution would be most of the
  cost of a small network. The generator's features are smooth, and get their edges by a kink at full resolution
- Any height and width: grids are halved upwards (28, 14, 7, 4), grown by two and cropped
- Each block of the generator is scaled, channel by channel, by the latent and the class, as styles do (Karras et al. 2019)
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

COARSEST = 4
"""Grids are halved until neither side is larger."""


@dataclass(frozen=True)
class Pyramid:
    """The grids from the finest to the coarsest, `(height, width, channels)` of each."""

    patch: int
    grids: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, height: int, width: int, channels: int, widest: int, patch: int) -> Self:
        """Channels double from grid to grid, up to `widest`."""
        grid = -(-height // patch), -(-width // patch)
        grids = [(*grid, channels)]
        while max(grid) > COARSEST:
            grid = -(-grid[0] // 2), -(-grid[1] // 2)
            channels = max(channels, min(2 * channels, widest))
            grids.append((*grid, channels))
        return cls(patch, tuple(grids))


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


class Residual(nn.Module):
    """`x + conv(leaky(conv(leaky(x))))`, the inner features scaled by a style where there is one."""

    def __init__(self, channels: int, style: int = 0) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        self.scale = nn.Linear(style, channels) if style else None

    def forward(
        self, x: Float[Tensor, "batch channels height width"], style: Float[Tensor, "batch style"] | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        inner = leaky(self.first(leaky(x)))
        if self.scale is not None:
            inner = inner * (1 + self.scale(style))[:, :, None, None]
        out: Tensor = x + self.last(inner)
        return out


class Frames(nn.Module):
    """Coordinates that a style places: each of some frames has a centre and a scale, and gives a grid its coordinates and
    its bump. So the same features can draw a thing anywhere and at any size; plain convolutions have to learn it at each
    place anew (Jaderberg et al. 2015, arXiv:1506.02025; Liu et al. 2018, arXiv:1807.03247)."""

    def __init__(self, style: int, frames: int) -> None:
        super().__init__()
        self.place = nn.Linear(style, 4 * frames)

    def forward(self, style: Float[Tensor, "batch style"]) -> Float[Tensor, "batch frames 4"]:
        """The centre and the logarithm of the scale of each frame, across and down."""
        placed: Tensor = self.place(style)
        return placed.view(len(style), -1, 4)


def coordinates(placed: Float[Tensor, "batch frames 4"], height: int, width: int) -> Float[Tensor, "batch c h w"]:
    """Three channels for each frame."""
    across, down = ((torch.arange(n, device=placed.device) + 0.5) * (2 / n) - 1 for n in (width, height))
    x, y, wide, high = (part[:, :, None] for part in placed.unbind(2))
    u, v = (across - x) * (3 * wide.exp()), (down - y) * (3 * high.exp())
    bump = torch.exp(-0.5 * v.square())[:, :, :, None] * torch.exp(-0.5 * u.square())[:, :, None, :]
    u, v = torch.tanh(u)[:, :, None, :].expand_as(bump), torch.tanh(v)[:, :, :, None].expand_as(bump)
    return torch.cat([u, v, bump], 1)


class Grower(nn.Module):
    """From a latent and a class's vector to a picture."""

    def __init__(self, pyramid: Pyramid, latent: int, style: int, channels: int, depth: int, frames: int) -> None:
        super().__init__()
        self.frames = Frames(style, frames) if frames else None
        widths = [width for *_, width in (*pyramid.grids[::-1], pyramid.grids[0])]
        self.mark = nn.ModuleList(nn.Conv2d(3 * frames, width, 1) for width in widths if frames)
        self.pyramid, self.depth = pyramid, depth
        coarsest_first = pyramid.grids[::-1]
        height, width, first = coarsest_first[0]
        self.enter = nn.Linear(latent, style)
        self.style = nn.Linear(style, style)
        self.start = nn.Linear(style, first * height * width)
        self.blocks = nn.ModuleList(
            nn.ModuleList(Residual(width, style) for _ in range(depth)) for *_, width in coarsest_first
        )
        pairs = pairwise(coarsest_first)
        self.narrow = nn.ModuleList(nn.Conv2d(wide[2], fine[2], 1) for wide, fine in pairs)
        self.out = nn.Conv2d(coarsest_first[-1][2], channels, 3, padding=1)

    def forward(self, z: Float[Tensor, "batch latent"], height: int, width: int) -> Float[Tensor, "batch c h w"]:
        style = leaky(self.style(leaky(self.enter(z))))
        grids = self.pyramid.grids[::-1]
        x = self.start(style).unflatten(1, (grids[0][2], *grids[0][:2])).contiguous(memory_format=torch.channels_last)
        placed = None if self.frames is None else self.frames(style)
        for level, blocks in enumerate(self.blocks):
            if level:
                x = _grown(self.narrow[level - 1](x), 2)[:, :, : grids[level][0], : grids[level][1]]
            x = self._marked(x, placed, level)
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x, style)
        x = self._marked(_grown(x, self.pyramid.patch), placed, len(grids))
        picture: Tensor = self.out(leaky(x))
        return picture[:, :, :height, :width]

    def _marked(
        self, x: Float[Tensor, "batch c h w"], placed: Tensor | None, level: int
    ) -> Float[Tensor, "batch c h w"]:
        if placed is None:
            return x
        marks = coordinates(placed, *x.shape[2:]).contiguous(memory_format=torch.channels_last)
        marked: Tensor = x + self.mark[level](marks)
        return marked


def _grown(x: Float[Tensor, "batch channels height width"], times: int) -> Tensor:
    return F.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False) if times > 1 else x


class Shrinker(nn.Module):
    """From a picture to features."""

    def __init__(self, pyramid: Pyramid, channels: int, features: int, depth: int) -> None:
        super().__init__()
        self.pyramid = pyramid
        grids = pyramid.grids
        self.stem = nn.Conv2d(channels * pyramid.patch**2, grids[0][2], 3, padding=1)
        self.blocks = nn.ModuleList(nn.ModuleList(Residual(width) for _ in range(depth)) for *_, width in grids)
        pairs = pairwise(grids)
        self.widen = nn.ModuleList(nn.Conv2d(fine[2], wide[2], 1) for fine, wide in pairs)
        height, width, last = grids[-1]
        # One filter over each channel's whole grid: a dense layer over all of them has so many inputs that Adam's
        # steps, each of about the learning rate, move its outputs too far
        self.look = nn.Conv2d(last, last, (height, width), groups=last)
        self.features = nn.Linear(last, features)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch features"]:
        patch, (height, width, _) = self.pyramid.patch, self.pyramid.grids[0]
        missing = (0, width * patch - images.shape[3], 0, height * patch - images.shape[2])
        x = F.pad(images, missing, mode="replicate") if any(missing) else images
        x = self.stem(F.pixel_unshuffle(x, patch).contiguous(memory_format=torch.channels_last))
        for level, blocks in enumerate(self.blocks):
            if level:
                x = self.widen[level - 1](F.avg_pool2d(x, 2, ceil_mode=True))
            for block in blocks:  # type: ignore[attr-defined]
                x = block(x)
        out: Tensor = leaky(self.features(leaky(self.look(leaky(x)).flatten(1))))
        return out
