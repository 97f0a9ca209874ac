"""Copies of a model whose matrices are stored in another form, for speed on a CPU. All else is shared with the model.

- `pack`: the same numbers in the order in which the kernel for several rows reads them: faster from four rows on
- `quantize`: eight bits for each weight: a quarter of the bytes to read for a token, which is what a single stream waits
  for. Each row of a matrix is an int8 vector times one scale, and so is each row of the activations, at the time of the
  product (LLM.int8, Dettmers et al. 2022, without its outlier columns); products and sums are exact integers, so a row's
  result does not depend on its batch. The loss changes a little: `benchmarks/generation.py` measures by how much.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.models.gpt import GPT

_MIDDLE, _SPAN = 128, 127
"""Activations are stored as 128 plus or minus 127: the kernels take unsigned ones."""


class Int8Linear(nn.Module):
    """A linear layer with int8 weights and activations, made from a layer's weight and bias."""

    scale: Float[Tensor, " outputs"]
    bias: Float[Tensor, " outputs"] | None
    middle: Float[Tensor, ""]

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None) -> None:
        super().__init__()
        weight = weight.detach().float()
        # Without VNNI, pairs of products are added up in 16 bits: seven-bit weights keep those sums exact
        largest = 127 if torch.cpu._is_vnni_supported() else 63
        step = (weight.abs().amax(1) / largest).clamp_min_(torch.finfo(torch.float32).tiny)
        codes = (weight / step[:, None]).round_().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(codes, None)
        self.register_buffer("scale", step / _SPAN)
        self.register_buffer("middle", torch.tensor(_MIDDLE + 0.5))
        self.register_buffer("zeros", torch.zeros(len(weight), dtype=torch.long))
        self.register_buffer("bias", None if bias is None else bias.detach().float())

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        rows = x.reshape(-1, x.shape[-1])
        largest = rows.abs().amax(1, keepdim=True).clamp_min_(torch.finfo(rows.dtype).tiny * _SPAN)
        # The conversion cuts off what is behind the point: half a step more makes that rounding
        codes = torch.addcmul(self.middle, rows, _SPAN / largest).to(torch.uint8)
        out = torch.ops.onednn.qlinear_pointwise(
            codes, 1.0, _MIDDLE, self._packed, self.scale, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        out = out.mul_(largest) if self.bias is None else torch.addcmul(self.bias, out, largest)
        return out.view(*x.shape[:-1], -1)


class PackedLinear(nn.Module):
    """A linear layer with its weights in oneDNN's blocked order too, which is used for several rows."""

    bias: Float[Tensor, " outputs"] | None

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None) -> None:
        super().__init__()
        self.weight, self.bias = weight.detach(), None if bias is None else bias.detach()
        self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight, 16)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        if x.numel() == x.shape[-1]:
            return F.linear(x, self.weight, self.bias)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return out


def quantize(model: GPT) -> GPT:
    """A copy of `model` with int8 matrices, the output layer among them.

    Raises:
        DaedalError: the model is not in float32, or not on the CPU.
    """
    weight = model.embedding.weight
    if not _plain(model):
        raise DaedalError(
            f"int8 weights are for float32 models on the CPU, and this one is {weight.dtype} on {weight.device}",
            'Load it with dtype="float32" on the CPU, or leave quantize out',
        )
    return _with_layers(model, Int8Linear)


def pack(model: GPT) -> GPT:
    """A copy of `model` that is faster with several rows, if there is one: else the model itself."""
    packable = torch._C._has_mkldnn and any(isinstance(module, nn.Linear) for module in model.modules())
    return _with_layers(model, PackedLinear) if packable and _plain(model) else model


def _plain(model: GPT) -> bool:
    weight = model.embedding.weight
    return weight.device.type == "cpu" and weight.dtype == torch.float32


def _with_layers(model: GPT, make: Callable[[Tensor, Tensor | None], nn.Module]) -> GPT:
    copied = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    with torch.no_grad():
        for parent in list(copied.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(parent, name, make(child.weight, child.bias))
        if copied.unembedding is None:
            copied.unembedding = make(copied.embedding.weight, None)  # type: ignore[assignment]
    return copied.eval()
