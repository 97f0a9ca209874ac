"""The diffusion transformer (Peebles & Xie 2023): the one Transformer on patches, told a condition at every block."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.attention import Attention, Frame
from daedal.nn.mlp import GatedMLP
from daedal.nn.norm import QueryKeyNorm, RMSNorm
from daedal.nn.position import GridRotary
from daedal.nn.transformer import AdaptiveBlock, Transformer, modulate

_EPS = 1e-6


class DiT(nn.Module):
    """Pictures of `inputs` channels in, of `channels` out, of the same size: one that is no multiple of `patch` is padded.

    Args:
        words: width of the vectors of words that stand before the patches; 0 for none.
    """

    def __init__(
        self, inputs: int, channels: int, width: int, depth: int, heads: int, patch: int, condition: int, words: int = 0
    ) -> None:
        super().__init__()
        self.patch, head_width = patch, width // heads
        self.rotary = GridRotary(head_width, 100.0)
        self.embedding = nn.Linear(inputs * patch**2, width)
        self.words = nn.Linear(words, width) if words else None
        hidden = -(-8 * width // 3 // 32) * 32
        blocks = (
            AdaptiveBlock(
                RMSNorm(width, _EPS, gain=False),
                Attention(width, heads, heads, head_width, norm=QueryKeyNorm(heads, heads, head_width, _EPS)),
                RMSNorm(width, _EPS, gain=False),
                GatedMLP(width, hidden, F.silu),
                nn.Linear(condition, 6 * width),
            )
            for _ in range(depth)
        )
        self.transformer = Transformer(blocks, RMSNorm(width, _EPS, gain=False))
        self.modulation = nn.Linear(condition, 2 * width)
        self.head = nn.Linear(width, channels * patch**2)

    def forward(
        self,
        x: Float[Tensor, "batch inputs height width"],
        condition: Float[Tensor, "batch condition"],
        words: Float[Tensor, "batch window words"] | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        height, width = x.shape[2:]
        x = F.pixel_unshuffle(F.pad(x, (0, -width % self.patch, 0, -height % self.patch), mode="replicate"), self.patch)
        rows, columns = x.shape[2:]
        hidden, turns, said = self.embedding(x.flatten(2).mT), self.rotary.turns(rows, columns, x.device), 0
        if self.words is not None:
            told = self.words(words)
            said = told.shape[1]
            hidden = torch.cat((told, hidden), 1)
            turns = torch.cat((torch.ones_like(turns[:1]).expand(said, -1, -1), turns))  # words have no place: no turn
        frame = Frame(hidden.shape[1], turns=turns, device=x.device, dtype=x.dtype, condition=condition)
        hidden = self.transformer(hidden, frame)[:, said:]
        hidden = modulate(hidden, *self.modulation(condition).unsqueeze(1).chunk(2, -1))
        out = F.pixel_shuffle(self.head(hidden).mT.unflatten(2, (rows, columns)), self.patch)
        return out[:, :, :height, :width]
