"""Parts of convolutional networks over clips that see no frame before its time (as MAGVIT-v2's, Yu et al. 2023,
arXiv:2310.05737).

The first frame of a clip is a group alone, the others are groups of a few frames: `groups_of`. Frames become small one by one
and a group's are joined there; every block then sees its own group, the one before and the first. So what a group is does not
depend on what follows, and a clip may be read or drawn up to any group. On the way rows of all groups stand one below the
other: a clip is a tall picture `[batch, width, groups * h, w]`.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.convolution import Double, Halve, group_norm

Video = Float[Tensor, "batch frames*channels height width"]
"""The frames of clips, one after the other along the channels."""
Grid = Float[Tensor, "batch width groups*h w"]
_FINEST = 32  # channels of frames that are halved once


def groups_of(frames: int, stride: int) -> int:
    """Groups that a clip of so many frames has; the last may be short of some."""
    return 1 + -(-(frames - 1) // stride)


def frames_of(groups: int, stride: int) -> int:
    """Frames of so many whole groups."""
    return 1 + (groups - 1) * stride


class CausalBlock(nn.Module):
    """`x + conv(silu(norm(conv(silu(norm(x))) + past)))`, where `past` mixes the channels of the group before and the
    first: the identity when new."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(width), nn.Conv2d(width, width, 3, padding=1)
        self.past = nn.Conv2d(2 * width, width, 1, bias=False)
        self.norm2, self.conv2 = group_norm(width), nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Float[Tensor, "clips*groups width h w"], groups: int) -> Tensor:
        shown = F.silu(self.norm1(x))
        inner = self.conv1(shown)
        if groups > 1:
            each = shown.reshape(-1, groups, *shown.shape[1:])
            earlier = torch.cat((each[:, :-1], each[:, :1].expand(-1, groups - 1, -1, -1, -1)), 2)
            told = self.past(earlier.flatten(0, 1)).unflatten(0, (-1, groups - 1))
            inner = inner + F.pad(told, (0, 0, 0, 0, 0, 0, 1, 0)).flatten(0, 1)
        return x + self.conv2(F.silu(self.norm2(inner)))  # type: ignore[no-any-return]


def _levels(filters: int, halvings: int) -> list[int]:
    """Channels of a frame from the largest size to the smallest."""
    return [min(_FINEST, filters)] + [filters] * (halvings - 1)


class VideoEncoder(nn.Module):
    """Clips to features of their groups. A last group that is short is filled up with its last frame."""

    def __init__(self, channels: int, filters: int, depth: int, halvings: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride
        levels = _levels(filters, halvings)
        self.frames = nn.Sequential(Halve(channels, levels[0], kernel=3))
        for finer, coarser in pairwise(levels):
            self.frames.extend([group_norm(finer), nn.SiLU(), Halve(finer, coarser)])
        self.alone = nn.Conv2d(levels[-1], filters, 1)
        self.joined = nn.Conv2d(stride * levels[-1], filters, 1)
        self.blocks = nn.ModuleList(CausalBlock(filters) for _ in range(depth))
        self.out = nn.Sequential(group_norm(filters), nn.SiLU())

    @property
    def ends(self) -> tuple[nn.Module, ...]:
        """What takes pixels."""
        return tuple(self.frames[0].children())

    def forward(self, video: Video) -> Grid:
        batch, count = len(video), video.shape[1] // self.channels
        small = self.frames(video.reshape(batch * count, self.channels, *video.shape[2:])).unflatten(0, (batch, count))
        groups = groups_of(count, self.stride)
        missing = frames_of(groups, self.stride) - count
        small = torch.cat((small, small[:, -1:].expand(-1, missing, -1, -1, -1)), 1)
        first = self.alone(small[:, 0]).unsqueeze(1)
        rest = self.joined(small[:, 1:].reshape(-1, self.stride * small.shape[2], *small.shape[3:]))
        x = torch.cat((first, rest.unflatten(0, (batch, groups - 1))), 1).flatten(0, 1)
        for block in self.blocks:
            x = block(x, groups)
        return _tall(self.out(x), groups)


class VideoDecoder(nn.Module):
    """The way back, of as many groups as there are.

    Args:
        rows: of a group.
    """

    def __init__(self, channels: int, filters: int, depth: int, halvings: int, stride: int, rows: int) -> None:
        super().__init__()
        self.stride, self.rows = stride, rows
        levels = _levels(filters, halvings)
        self.blocks = nn.ModuleList(CausalBlock(filters) for _ in range(depth))
        self.mixed = nn.Sequential(group_norm(filters), nn.SiLU())
        self.alone = nn.Conv2d(filters, levels[-1], 1)
        self.parted = nn.Conv2d(filters, stride * levels[-1], 1)
        self.frames = nn.Sequential()
        for finer, coarser in reversed(list(pairwise(levels))):
            self.frames.extend([group_norm(coarser), nn.SiLU(), Double(coarser, finer)])
        self.frames.extend([group_norm(levels[0]), nn.SiLU(), Double(levels[0], channels, kernel=3)])

    @property
    def ends(self) -> tuple[nn.Module, ...]:
        """What gives pixels."""
        return tuple(self.frames[-1].children())

    def forward(self, x: Grid) -> Video:
        x = x.reshape(*x.shape[:2], -1, self.rows, x.shape[3]).transpose(1, 2)
        batch, groups = x.shape[:2]
        x = x.flatten(0, 1)
        for block in self.blocks:
            x = block(x, groups)
        x = self.mixed(x).unflatten(0, (batch, groups))
        first = self.alone(x[:, 0]).unsqueeze(1)
        rest = self.parted(x[:, 1:].flatten(0, 1)).reshape(batch, (groups - 1) * self.stride, *first.shape[2:])
        frames = self.frames(torch.cat((first, rest), 1).flatten(0, 1))
        return frames.reshape(batch, -1, *frames.shape[2:])  # type: ignore[no-any-return]


def _tall(x: Float[Tensor, "clips*groups width h w"], groups: int) -> Grid:
    """Groups one below the other."""
    return x.reshape(-1, groups, *x.shape[1:]).transpose(1, 2).flatten(2, 3)
