"""A U-Net (Ronneberger et al. 2015) that is told a condition at every block (Ho et al. 2020; Perez et al. 2018).

- no convolution is wide at full resolution: `patch` x `patch` pixels are one position of the first grid (pixel-unshuffle)
- each level halves the grid, rounding up; on the way back a grid is cropped to what it was, so any size will do
- tensors are laid out channels last, which is half as dear again on a CPU
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.dot_product import dot_product_attention
from daedal.nn.film import FilmNorm


class ResidualBlock(nn.Module):
    """Two convolutions, each on a normalised copy, the second told the condition (FiLM); added back."""

    def __init__(self, channels: int, width: int, condition: int) -> None:
        super().__init__()
        self.first_norm = FilmNorm(channels)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second_norm = FilmNorm(width, condition)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.skip = nn.Conv2d(channels, width, 1) if channels != width else None

    def forward(
        self, x: Float[Tensor, "batch channels height width"], condition: Float[Tensor, "batch condition"]
    ) -> Float[Tensor, "batch out height width"]:
        inner = self.second(self.second_norm(self.first(self.first_norm(x)), condition))
        out: Tensor = inner + (x if self.skip is None else self.skip(x))
        return out


class GridAttention(nn.Module):
    """Every position of the grid attends to every other; and to words, where there are any, with the same query and a softmax
    of their own (Ye et al. 2023).

    Args:
        words: width of the words' vectors; 0 for none.
    """

    def __init__(self, width: int, heads: int, words: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.norm = FilmNorm(width, activation=False)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.words = nn.Linear(words, 2 * width) if words else None

    def forward(
        self, x: Float[Tensor, "batch width height width"], words: Float[Tensor, "batch window words"] | None = None
    ) -> Float[Tensor, "batch width height width"]:
        batch, width, rows, columns = x.shape
        both = self.qkv(self.norm(x)).permute(0, 2, 3, 1).reshape(batch, rows * columns, 3, self.heads, -1)
        query, key, value = both.permute(2, 0, 3, 1, 4)
        mixed = dot_product_attention(query, key, value)
        if self.words is not None:
            said = self.words(words).unflatten(2, (2, self.heads, -1))
            mixed = mixed + dot_product_attention(query, *said.permute(2, 0, 3, 1, 4))
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, rows, columns, width).permute(0, 3, 1, 2))
        return x + out


class Stage(nn.Module):
    """Residual blocks of one grid, attention after each where asked."""

    def __init__(self, channels: int, width: int, blocks: int, condition: int, heads: int, words: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResidualBlock(channels if index == 0 else width, width, condition) for index in range(blocks)
        )
        self.attention = nn.ModuleList(GridAttention(width, heads, words) for _ in range(blocks if heads else 0))

    def forward(self, x: Tensor, condition: Tensor, words: Tensor | None) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, condition)
            if self.attention:
                x = self.attention[index](x, words)
        return x


class UNet(nn.Module):
    """Pictures of `inputs` channels in, pictures of `channels` out, of the same size.

    Args:
        widths: channels of each level, the finest first.
        blocks: residual blocks of a level on the way down, and as many on the way up; the finest, the dearest, has one.
        heads: of attention after each block, but for the finest level; 0 for none.
        words: width of the vectors of words that attention reads as well; 0 for none.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        widths: Sequence[int],
        blocks: int,
        patch: int,
        condition: int,
        heads: int,
        words: int = 0,
    ) -> None:
        super().__init__()
        self.patch = patch
        top = widths[0]
        self.stem = nn.Conv2d(inputs * patch**2, top, 3, padding=1)
        # What a picture is of is settled on coarse grids, where width is cheap; the fine one cleans up
        sizes = [(width, 1 if level == 0 else blocks, 0 if level == 0 else heads) for level, width in enumerate(widths)]
        self.down = nn.ModuleList(Stage(width, width, deep, condition, seen, words) for width, deep, seen in sizes[:-1])
        self.shrink = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(widths)
        )
        self.middle = Stage(widths[-1], widths[-1], blocks, condition, heads, words)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(
            Stage(2 * width, width, deep, condition, seen, words) for width, deep, seen in sizes[:-1]
        )
        self.head_norm = FilmNorm(top)
        self.head = nn.Conv2d(top, channels * patch**2, 3, padding=1)

    def forward(
        self,
        x: Float[Tensor, "batch inputs height width"],
        condition: Float[Tensor, "batch condition"],
        words: Float[Tensor, "batch window words"] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % self.patch, 0, -height % self.patch), mode="replicate")
        x = F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        kept: list[Tensor] = []
        for stage, shrink in zip(self.down, self.shrink, strict=True):
            x = stage(x, condition, words)
            kept.append(x)
            x = shrink(x)
        x = self.middle(x, condition, words)
        for stage, grow in zip(reversed(self.up), reversed(self.grow), strict=True):
            skip = kept.pop()
            x = F.interpolate(grow(x), scale_factor=2.0)[:, :, : skip.shape[2], : skip.shape[3]]
            x = stage(torch.cat((x, skip), 1), condition, words)
        out = F.pixel_shuffle(self.head(self.head_norm(x)), self.patch)
        return out[:, :, :height, :width]
