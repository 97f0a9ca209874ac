"""The one Transformer: a stack of blocks, each made of the parts that it is given."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from daedal.nn.attention import Attention, Frame


class Block(nn.Module):
    """Attention, then an MLP, each on a normalised copy that is added back (pre-norm; Xiong et al. 2020)."""

    def __init__(
        self,
        attention_norm: nn.Module,
        attention: Attention,
        mlp_norm: nn.Module,
        mlp: nn.Module,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = attention_norm, attention
        self.mlp_norm, self.mlp = mlp_norm, mlp
        self.dropout = dropout

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        dropout = self.dropout if self.training else 0.0
        x = x + _drop(self.attention(self.attention_norm(x), frame, layer), dropout)
        return x + _drop(self.mlp(self.mlp_norm(x)), dropout)


class PostNormBlock(Block):
    """A block that normalises what each of its parts added to (post-norm; Vaswani et al. 2017, Devlin et al. 2019)."""

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        dropout = self.dropout if self.training else 0.0
        x = self.attention_norm(x + _drop(self.attention(x, frame, layer), dropout))
        out: Tensor = self.mlp_norm(x + _drop(self.mlp(x), dropout))
        return out


class DecoderBlock(Block):
    """A block that also reads from another sequence, between its attention and its MLP (Vaswani et al. 2017)."""

    def __init__(
        self,
        attention_norm: nn.Module,
        attention: Attention,
        cross_norm: nn.Module,
        cross: nn.Module,
        mlp_norm: nn.Module,
        mlp: nn.Module,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(attention_norm, attention, mlp_norm, mlp, dropout)
        self.cross_norm, self.cross = cross_norm, cross

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        dropout = self.dropout if self.training else 0.0
        x = x + _drop(self.attention(self.attention_norm(x), frame, layer), dropout)
        x = x + _drop(self.cross(self.cross_norm(x), frame, layer), dropout)
        return x + _drop(self.mlp(self.mlp_norm(x)), dropout)


class PostNormDecoderBlock(DecoderBlock):
    """The same, with the sum after each part normalised."""

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        dropout = self.dropout if self.training else 0.0
        x = self.attention_norm(x + _drop(self.attention(x, frame, layer), dropout))
        x = self.cross_norm(x + _drop(self.cross(x, frame, layer), dropout))
        out: Tensor = self.mlp_norm(x + _drop(self.mlp(x), dropout))
        return out


class OriginBlock(Block):
    """A block that first mixes what the first layer received into its input, by two learned numbers."""

    def __init__(
        self,
        attention_norm: nn.Module,
        attention: Attention,
        mlp_norm: nn.Module,
        mlp: nn.Module,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(attention_norm, attention, mlp_norm, mlp, dropout)
        self.mix = nn.Parameter(torch.empty(2))

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        assert frame.origin is not None
        return super().forward(self.mix[0] * x + self.mix[1] * frame.origin, frame, layer)


class AdaptiveBlock(Block):
    """A block whose norms and residual branches follow the frame's condition (adaLN-Zero; Peebles & Xie 2023).

    The condition gives each norm a scale and a shift, and each branch a gate. All are zero at first: the block is the identity.
    """

    def __init__(
        self,
        attention_norm: nn.Module,
        attention: Attention,
        mlp_norm: nn.Module,
        mlp: nn.Module,
        modulation: nn.Module,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(attention_norm, attention, mlp_norm, mlp, dropout)
        self.modulation = modulation

    def forward(
        self, x: Float[Tensor, "batch time width"], frame: Frame, layer: int
    ) -> Float[Tensor, "batch time width"]:
        dropout = self.dropout if self.training else 0.0
        told = self.modulation(frame.condition).unsqueeze(1).chunk(6, -1)
        inner = self.attention(modulate(self.attention_norm(x), *told[:2]), frame, layer)
        x = x + told[2] * _drop(inner, dropout)
        inner = self.mlp(modulate(self.mlp_norm(x), *told[3:5]))
        out: Tensor = x + told[5] * _drop(inner, dropout)
        return out


class Transformer(nn.Module):
    """Blocks in order, then a final norm.

    Attributes:
        recomputes: whether in training no more is kept of a block than its input, and the rest computed anew for the gradients
            (Chen et al. 2016, arXiv:1604.06174): a third more time, and most of the memory of long contexts saved.
    """

    recomputes = False

    def __init__(self, blocks: Iterable[nn.Module], norm: nn.Module) -> None:
        super().__init__()
        self.blocks, self.norm = nn.ModuleList(blocks), norm

    def forward(self, x: Float[Tensor, "batch time width"], frame: Frame) -> Float[Tensor, "batch time width"]:
        for layer, block in enumerate(self.blocks):
            if self.recomputes and self.training and torch.is_grad_enabled():
                x = checkpoint(block, x, frame, layer, use_reentrant=False)
            else:
                x = block(x, frame, layer)
        if frame.cache is not None:
            frame.cache.advance(frame.time)
        out: Tensor = self.norm(x)
        return out


def recompute(model: nn.Module, on: bool) -> None:
    """Have all Transformers inside of a model compute anew what their blocks would keep for the gradients, or not."""
    for module in model.modules():
        if isinstance(module, Transformer):
            module.recomputes = on


def modulate(
    x: Float[Tensor, "batch time width"], scale: Float[Tensor, "batch 1 width"], shift: Float[Tensor, "batch 1 width"]
) -> Float[Tensor, "batch time width"]:
    """`x * (1 + scale) + shift`."""
    out: Tensor = torch.addcmul(x + shift, x, scale)
    return out


def _drop(x: Tensor, dropout: float) -> Tensor:
    return F.dropout(x, dropout) if dropout else x
