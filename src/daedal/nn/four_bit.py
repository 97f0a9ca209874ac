"""Matrices in four or eight bits: blocks of a row as whole numbers, with a scale for each block (Dettmers et al. 2022, 2023).

What generates on a CPU reads such matrices as they are (`daedal.inference.onnx_graph`). What is fine-tuned beside them (QLoRA,
arXiv:2305.14314) multiplies by what they stand for, made anew in each pass, forward and back, and never kept.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

BLOCK = 128
"""Weights that share a scale: longer blocks are faster, shorter ones closer."""


def block_length(inputs: int, bits: int) -> int:
    """Weights of a row that share a scale: twice as many in 8 bits where no block is left half empty, which is an eighth
    faster with several rows."""
    return 2 * BLOCK if bits == 8 and inputs % (2 * BLOCK) == 0 else BLOCK


def quantized(
    weight: Float[Tensor, "outputs inputs"], bits: Literal[8, 4]
) -> tuple[UInt8[Tensor, "outputs blocks bytes"], Float[Tensor, "outputs blocks"]]:
    """Each block of a row as whole numbers around the middle of their range, and what to multiply them by; in 4 bits two
    numbers share a byte, the earlier in its lower half."""
    outputs, inputs = weight.shape
    middle, length = 1 << (bits - 1), block_length(inputs, bits)
    blocks = nn.functional.pad(weight.float(), (0, -inputs % length)).view(outputs, -1, length)
    scales = (blocks.abs().amax(2) / (middle - 1)).clamp_min_(torch.finfo(torch.float32).tiny)
    codes = (blocks / scales[:, :, None]).round_().add_(middle).to(torch.uint8)
    if bits == 4:
        codes = codes[:, :, 0::2] | (codes[:, :, 1::2] << 4)
    return codes, scales


def restored(
    codes: UInt8[Tensor, "outputs blocks bytes"], scales: Float[Tensor, "outputs blocks"], inputs: int
) -> Float[Tensor, "outputs inputs"]:
    """The matrix that codes of 4 bits stand for, in the type of the scales."""
    outputs, blocks, half = codes.shape
    pairs = torch.empty(outputs, blocks, half, 2, dtype=scales.dtype, device=codes.device)
    pairs[..., 0] = codes & 15
    pairs[..., 1] = codes >> 4
    found = pairs.view(outputs, blocks, 2 * half).sub_(8).mul_(scales[:, :, None])
    return found.view(outputs, -1)[:, :inputs]


class FourBitLinear(nn.Module):
    """A linear layer that does not learn, with its matrix in four bits.

    Args:
        linear: the layer whose matrix it has.
    """

    codes: Tensor
    scales: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        codes, scales = quantized(linear.weight.detach(), 4)
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("scales", scales.to(linear.weight.dtype), persistent=False)
        bias = None if linear.bias is None else linear.bias.detach()
        self.register_buffer("bias", bias, persistent=False)

    @property
    def weight(self) -> Float[Tensor, "outputs inputs"]:
        """The matrix, made anew."""
        return restored(self.codes, self.scales, self.in_features)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        out: Tensor = _Product.apply(x, self.codes, self.scales, self.in_features)  # type: ignore[no-untyped-call]
        return out if self.bias is None else out + self.bias.to(out.dtype)


class _Product(torch.autograd.Function):
    """`x @ weight.T`, which keeps the codes alone for its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, scales: Tensor, inputs: int) -> Tensor:
        ctx.save_for_backward(codes, scales)
        ctx.inputs, ctx.dtype = inputs, _product_dtype(x)
        weight = restored(codes, scales, inputs).to(ctx.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return nn.functional.linear(x.to(ctx.dtype), weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        codes, scales = ctx.saved_tensors
        return gradient.to(ctx.dtype) @ restored(codes, scales, ctx.inputs).to(ctx.dtype), None, None, None


def _product_dtype(x: Tensor) -> torch.dtype:
    """What a matrix product of `x` is computed in."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
