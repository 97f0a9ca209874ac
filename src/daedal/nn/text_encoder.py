"""What a caption says, as vectors: the one Transformer, in which every word sees every other (Devlin et al. 2019)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.nn.attention import Attention, Frame
from daedal.nn.mlp import GatedMLP
from daedal.nn.norm import QueryKeyNorm, RMSNorm
from daedal.nn.transformer import Block, Transformer

_EPS = 1e-6


class TextEncoder(nn.Module):
    """A vector for each place of a row of ids. A place that holds nothing (-1) has a vector too, which every other sees: so a
    row that says nothing needs no mask.

    Args:
        words: ids that there are.
        window: ids of a row.
    """

    def __init__(self, words: int, window: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        head_width = width // heads
        self.word = nn.Embedding(words + 1, width)
        self.place = nn.Embedding(window, width)
        blocks = (
            Block(
                RMSNorm(width, _EPS, gain=False),
                Attention(
                    width, heads, heads, head_width, norm=QueryKeyNorm(heads, heads, head_width, _EPS, gain=False)
                ),
                RMSNorm(width, _EPS, gain=False),
                GatedMLP(width, -(-8 * width // 3 // 32) * 32, F.silu),
            )
            for _ in range(depth)
        )
        self.transformer = Transformer(blocks, RMSNorm(width, _EPS, gain=False))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew: variance kept, each block the identity."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                scale = module.in_features**-0.5 if isinstance(module, nn.Linear) else 1.0
                module.weight.copy_(scale * torch.randn(module.weight.shape, generator=generator))
            elif isinstance(module, QueryKeyNorm):
                for gain in module.parameters():
                    gain.fill_(1.0)
        for module in self.modules():
            if isinstance(module, Attention):
                module.out.weight.zero_()
            elif isinstance(module, GatedMLP):
                module.down.weight.zero_()

    def forward(self, ids: Int[Tensor, "batch window"]) -> Float[Tensor, "batch window width"]:
        x = self.word(ids + 1) + self.place.weight
        out: Tensor = self.transformer(x, Frame(ids.shape[1], device=x.device, dtype=x.dtype))
        return out


def filled(
    words: Float[Tensor, "batch window width"], ids: Int[Tensor, "batch window"]
) -> Float[Tensor, "batch window width"]:
    """The vectors of rows of ids, with the mean of a row's words wherever there is none (-1): else a short caption would be
    lost among places that say nothing, in a mean or an attention over all. A row without words stays as it is."""
    said = (ids >= 0)[..., None]
    said = said | ~said.any(1, keepdim=True)
    return torch.where(said, words, (words * said).sum(1, keepdim=True) / said.sum(1, keepdim=True))
