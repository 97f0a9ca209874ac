"""LoRA (Hu et al. 2021, arXiv:2106.09685): a matrix stays as it was learned, and beside it a product of two thin ones learns.

    y = W x + (alpha / rank) B A x        A: rank x inputs, drawn at random;  B: outputs x rank, zero at first

- where one layer holds several matrices stacked (queries, keys and values; gate and up), each has an A and a B of its own,
  which are multiplied by together
- what is frozen is a buffer, no parameter: it has no gradient and no optimizer, and no checkpoint of a run holds it
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from daedal.nn.four_bit import FourBitLinear


class Part(NamedTuple):
    """Rows of a layer's matrix that one pair of thin matrices is for; none where it has none.

    Attributes:
        name: what other programs call them, as a layer of its own.
        rows: how many.
        adapted: whether there is a pair for them.
    """

    name: str
    rows: int
    adapted: bool = True


class LoRA(nn.Module):
    """A linear layer that is frozen, and what learns beside it.

    Args:
        linear: the layer.
        parts: of its rows, in order.
        rank: columns of each A.
        alpha: what the product is multiplied by, times the rank.
    """

    def __init__(self, linear: nn.Linear | FourBitLinear, parts: Sequence[Part], rank: int, alpha: float) -> None:
        super().__init__()
        self.linear, self.parts, self.scale = linear, tuple(parts), alpha / rank
        freeze(self.linear)
        adapted = [part for part in parts if part.adapted]
        device = (linear.scales if isinstance(linear, FourBitLinear) else linear.weight).device
        self.a = nn.ParameterDict({part.name: torch.empty(rank, linear.in_features, device=device) for part in adapted})
        self.b = nn.ParameterDict({part.name: torch.empty(part.rows, rank, device=device) for part in adapted})

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw each A and set each B to zero: the layer does what it did before."""
        for name, a in self.a.items():
            bound = 1 / math.sqrt(a.shape[1])
            a.copy_((torch.rand(a.shape, generator=generator) * 2 - 1) * bound)
            self.b[name].zero_()

    def pair(self, part: Part) -> tuple[Float[Tensor, "rank inputs"], Float[Tensor, "rows rank"]]:
        """A and B of a part that has them."""
        return self.a[part.name], self.b[part.name]

    @property
    def weight(self) -> Float[Tensor, "outputs inputs"]:
        """One matrix that does the same, for who reads the layer as one."""
        return self.merged().weight

    @property
    def bias(self) -> Tensor | None:
        return self.linear.bias

    @property
    def _outward(self) -> Float[Tensor, "outputs ranks"]:
        """All B, each in the rows of its part and the columns of its A."""
        blocks = [
            self.b[part.name] if part.adapted else next(iter(self.b.values())).new_zeros(part.rows, 0)
            for part in self.parts
        ]
        found: Tensor = blocks[0] if len(blocks) == 1 else torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
        return found

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        inward = [
            self.a[part.name] for part in self.parts if part.adapted
        ]  # in their order, which the dictionary has not
        flat = x.flatten(0, -2)
        low = nn.functional.linear(flat, inward[0] if len(inward) == 1 else torch.cat(inward))
        usual: Tensor = self.linear(flat)
        if torch.is_autocast_enabled(x.device.type):
            usual = usual + nn.functional.linear(low, self._outward) * self.scale
        else:  # in its place: nothing else has it, and no gradient needs it
            usual.addmm_(low.to(usual.dtype), self._outward.t().to(usual.dtype), alpha=self.scale)
        return usual.view(*x.shape[:-1], -1)

    @torch.no_grad()
    def difference(self) -> Float[Tensor, "outputs inputs"]:
        """What the matrix would be changed by: the scaled products of the parts, in float32."""
        rows = [
            self.scale * (self.b[part.name].float() @ self.a[part.name].float())
            if part.adapted
            else torch.zeros(part.rows, self.linear.in_features, device=next(self.parameters()).device)
            for part in self.parts
        ]
        return torch.cat(rows)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """A layer that does the same by one matrix, in the type of the one that was frozen."""
        weight = self.linear.weight
        out, bias = nn.Linear(1, 1, bias=False, device="meta"), self.linear.bias
        out.in_features, out.out_features = self.linear.in_features, self.linear.out_features
        out.weight = nn.Parameter((weight.float() + self.difference()).to(weight.dtype))
        out.bias = None if bias is None else nn.Parameter(bias)  # type: ignore[assignment]
        return out


def freeze(module: nn.Module) -> None:
    """Make buffers of all parameters of a module, which no state holds."""
    for each in module.modules():
        for name, parameter in list(each._parameters.items()):
            if parameter is not None:
                delattr(each, name)
                each.register_buffer(name, parameter.detach(), persistent=False)


def quantize(module: nn.Module) -> None:
    """Put the matrices of all linear layers inside of a module into four bits; they learn no more."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, FourBitLinear(child))
