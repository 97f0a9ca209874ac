"""The rate of a grid of codes: the nats that it takes to say them one after the other, as a model of them would.

Learned beside an encoder, it makes the encoder's codes cheap to say (Ballé et al. 2017, arXiv:1611.01704; Minnen et al.
2018, arXiv:1809.02736): without, a tokenizer spends most of a picture's nats on grain that nobody sees, and whoever
learns the tokens learns little else.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_BEFORE = ((-2, 0), (-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (0, -2), (0, -1))
"""Rows and columns from a place to those before it that it is predicted from."""


class Rate(nn.Module):
    """Predicts the level of each channel from the places before, row by row, and the channels before.

    Args:
        levels: how many each channel has.
        width: of the hidden layers.
        rows: of a frame, where grids are frames one below the other: a place is predicted from its own in the frame before
            as well.
    """

    def __init__(self, levels: Sequence[int], width: int = 64, rows: int | None = None) -> None:
        super().__init__()
        self.levels = tuple(levels)
        earlier = [] if rows is None else [(-rows, across) for across in (-1, 0, 1)]
        self.before = tuple(dict.fromkeys([*_BEFORE, *earlier]))
        self.inside = nn.Conv2d(len(self.before) * (len(self.levels) + 1), width, 1)
        self.mix = nn.Conv2d(width, width, 1)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width + channel, width, 1), nn.SiLU(), nn.Conv2d(width, count, 1))
            for channel, count in enumerate(self.levels)
        )

    def forward(
        self, codes: Float[Tensor, "batch channels h w"], levels: Float[Tensor, "batch channels h w"]
    ) -> Float[Tensor, "batch h w"]:
        """Nats of each place.

        Args:
            codes: the rounded ones, from -1 to 1.
            levels: the same before they were rounded, counted from 0. Between two levels the nats are what lies between
                theirs, so that their slope draws a code to the likelier one.
        """
        height, width = codes.shape[2:]
        up, aside = -min(down for down, _ in self.before), max(abs(across) for _, across in self.before)
        marked = F.pad(torch.cat((codes, torch.ones_like(codes[:, :1])), 1), (aside, aside, up, 0))
        before = [
            marked[:, :, up + down : up + down + height, aside + across : aside + across + width]
            for down, across in self.before
        ]
        hidden = F.silu(self.inside(torch.cat(before, 1)))
        hidden = F.silu(hidden + self.mix(hidden))
        nats = torch.zeros_like(levels[:, 0], dtype=torch.float32)
        for channel, (count, head) in enumerate(zip(self.levels, self.heads, strict=True)):
            likely = head(torch.cat((hidden, codes[:, :channel]), 1)).float().log_softmax(1)
            level = levels[:, channel : channel + 1].float().clamp(0, count - 1)
            below = level.detach().floor().clamp_max(count - 2).long()
            nats -= torch.lerp(likely.gather(1, below), likely.gather(1, below + 1), level - below)[:, 0]
        return nats
