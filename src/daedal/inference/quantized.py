"""Eight-bit weights: a quarter of the bytes to read for each token, which is what a single stream on a CPU waits for.

Each row of a matrix is an int8 vector times one scale, and so is each row of the activations, at the time of the product
(LLM.int8, Dettmers et al. 2022, without its outlier columns); products and sums are exact integers. So a row's result does
not depend on what else is in its batch. The loss changes a little: `benchmarks/generation.py` measures by how much.
"""

import copy

import torch
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

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None) -> None:
        super().__init__()
        weight = weight.detach().float()
        # Without VNNI, pairs of products are added up in 16 bits: seven-bit weights keep those sums exact
        largest = 127 if torch.cpu._is_vnni_supported() else 63
        step = (weight.abs().amax(1) / largest).clamp_min_(torch.finfo(torch.float32).tiny)
        codes = (weight / step[:, None]).round_().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(codes, None)
        self.register_buffer("scale", step / _SPAN)
        self.register_buffer("zeros", torch.zeros(len(weight), dtype=torch.long))
        self.register_buffer("bias", None if bias is None else bias.detach().float())

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        rows = x.reshape(-1, x.shape[-1])
        largest = rows.abs().amax(1, keepdim=True).clamp_min_(torch.finfo(rows.dtype).tiny * _SPAN)
        codes = (rows * (_SPAN / largest)).add_(_MIDDLE).round_().to(torch.uint8)
        out = torch.ops.onednn.qlinear_pointwise(
            codes, 1.0, _MIDDLE, self._packed, self.scale, self.zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        out = out.mul_(largest) if self.bias is None else torch.addcmul(self.bias, out, largest)
        return out.view(*x.shape[:-1], -1)


def quantize(model: GPT) -> GPT:
    """A copy of `model` with int8 matrices, the output layer among them; embeddings and norms are shared with it.

    Raises:
        DaedalError: the model is not in float32, or not on the CPU.
    """
    weight = model.embedding.weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        raise DaedalError(
            f"int8 weights are for float32 models on the CPU, and this one is {weight.dtype} on {weight.device}",
            'Load it with dtype="float32" on the CPU, or leave quantize out',
        )
    copied = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    with torch.no_grad():
        for parent in list(copied.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(parent, name, Int8Linear(child.weight, child.bias))
        if copied.unembedding is None:
            copied.unembedding = Int8Linear(copied.embedding.weight, None)  # type: ignore[assignment]
    return copied.eval()
