"""Steps that eager autograd takes in many passes over memory, with their gradients written by hand.

On a CPU these passes, not arithmetic, are most of what a Transformer does beside its matrix products. Each function
equals its plain formula; the tests hold the gradients against automatic ones.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

_LOGITS_AT_ONCE = 2**24


def rms_norm(x: Float[Tensor, "*batch width"], weight: Tensor | None, eps: float) -> Float[Tensor, "*batch width"]:
    """`x / rms(x) * weight`; the gain may have several trailing dimensions, such as one row a head."""
    if x.device.type == "cpu" and torch.is_grad_enabled() and x.dtype in (torch.float32, torch.float64):
        out: Tensor = _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
        return out
    normal = F.rms_norm(x, x.shape[-1:], None if weight is None or weight.ndim > 1 else weight, eps)
    return normal * weight if weight is not None and weight.ndim > 1 else normal


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
        scale = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        out: Tensor = x * scale
        return out if weight is None else out.mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, weight, scale = ctx.saved_tensors
        product = gradient * x
        if weight is None:
            along = product.sum(-1, keepdim=True)
            return torch.addcmul(gradient, x, along.mul_(scale * scale / -x.shape[-1])).mul_(scale), None, None
        learns = ctx.needs_input_grad[1]
        if weight.ndim == 1:
            along = product @ weight
            weight_gradient = product.view(-1, weight.numel()).t() @ scale.view(-1) if learns else None
        else:
            along = torch.linalg.vecdot(product, weight)
            weight_gradient = product.mul_(scale).view(-1, *weight.shape).sum(0) if learns else None
        along = along.unsqueeze(-1).mul_(scale * scale / -x.shape[-1])
        return torch.mul(gradient, weight).addcmul_(x, along).mul_(scale), weight_gradient, None


def swiglu(gate_up: Float[Tensor, "*batch twice"]) -> Float[Tensor, "*batch hidden"]:
    """`silu(gate) * up`, where the input is gate and up side by side (Shazeer 2020)."""
    if torch.is_grad_enabled() and gate_up.device.type == "cpu":
        out: Tensor = _SwiGLU.apply(gate_up)  # type: ignore[no-untyped-call]
        return out
    gate, up = gate_up.chunk(2, dim=-1)
    return F.silu(gate) * up


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up)
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate).mul_(up)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, dim=-1)
        out = torch.empty_like(gate_up)
        to_gate, to_up = out.chunk(2, dim=-1)
        torch.mul(gradient, F.silu(gate), out=to_up)
        torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=to_gate)
        return out


def relu_squared(x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """`relu(x)**2` (So et al. 2021): as good as GELU, without an exponential."""
    if torch.is_grad_enabled() and x.device.type == "cpu":
        out: Tensor = _ReLUSquared.apply(x)  # type: ignore[no-untyped-call]
        return out
    return F.relu(x).square()


class _ReLUSquared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        out: Tensor = positive * gradient
        return out.mul_(2)


def linear_cross_entropy(
    hidden: Float[Tensor, "tokens width"],
    weight: Float[Tensor, "vocab width"],
    targets: Int[Tensor, " tokens"],
    ignore: int,
    scale: float = 1.0,
    bias: Float[Tensor, " vocab"] | None = None,
) -> Float[Tensor, ""]:
    """`scale` times the sum over the targets of `-log softmax(hidden @ weight.T + bias)[target]`, in nats.

    The logits are made a few rows at a time and become their own gradient in place, so they are never all in memory.
    """
    return smoothed_cross_entropy(hidden, weight, targets, ignore, scale, bias=bias)[0]


def smoothed_cross_entropy(
    hidden: Float[Tensor, "tokens width"],
    weight: Float[Tensor, "vocab width"],
    targets: Int[Tensor, " tokens"],
    ignore: int,
    scale: float = 1.0,
    smoothing: float = 0.0,
    bias: Float[Tensor, " vocab"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """`linear_cross_entropy` to targets of which a share is spread evenly over the vocabulary (Szegedy et al. 2016), and, to
    look at only, to the targets alone.

    Args:
        smoothing: the share.
        bias: added to the logits.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    out: tuple[Tensor, Tensor] = _LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, targets, ignore, scale, smoothing, bias, torch.is_grad_enabled(), weight.requires_grad
    )
    return out


class _LinearCrossEntropy(torch.autograd.Function):
    """The even share takes no pass over the logits: their mean is a product with the mean of the weights, and its gradient is
    the same for every token."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        ignore: int,
        scale: float,
        smoothing: float,
        bias: Tensor | None,
        learns: bool,
        weight_learns: bool,
    ) -> tuple[Tensor, Tensor]:
        rows = max(256, _LOGITS_AT_ONCE // weight.shape[0])
        nats = hidden.new_zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32))
        evenly = torch.zeros_like(nats)
        hidden_gradient = torch.empty_like(hidden) if learns else None
        weight_gradient = torch.zeros_like(weight) if learns and weight_learns else None
        bias_gradient = torch.zeros_like(bias, dtype=nats.dtype) if learns and bias is not None else None
        with torch.autocast(hidden.device.type, enabled=False):
            mean = weight.mean(0, dtype=nats.dtype) if smoothing else None
            states = torch.zeros_like(mean) if mean is not None else None  # the sum of those with a target
            for part in (slice(i, i + rows) for i in range(0, len(hidden), rows)):
                logits = (hidden[part] @ weight.t()).to(nats.dtype)
                if bias is not None:
                    logits += bias
                target = targets[part].unsqueeze(1)
                kept = target != ignore
                target = target.where(kept, 0)
                chosen = logits.gather(1, target) if smoothing else None
                log_probabilities = torch.log_softmax(logits, 1, out=logits)
                found = log_probabilities.gather(1, target)
                nats -= (found * kept).sum()
                if mean is not None and states is not None and chosen is not None:
                    these = hidden[part].to(nats.dtype)
                    level = (these @ mean).unsqueeze(1) - (chosen - found)  # the mean log-probability
                    evenly -= (level * kept).sum()
                    if bias is not None:
                        evenly -= bias.mean() * kept.sum()
                    states += (these * kept).sum(0)
                if hidden_gradient is None:
                    continue
                gradient = log_probabilities.exp_()
                gradient.scatter_add_(1, target, torch.full_like(target, smoothing - 1, dtype=gradient.dtype))
                gradient = gradient if kept.all() else gradient.mul_(kept)
                if bias_gradient is not None:
                    bias_gradient.add_(gradient.sum(0), alpha=scale).sub_(
                        kept.sum() * (smoothing * scale / len(weight))
                    )
                gradient = gradient.to(hidden.dtype)
                target_rows = hidden_gradient[part]
                torch.addmm(target_rows, gradient, weight, beta=0, alpha=scale, out=target_rows)
                if weight_gradient is not None:
                    weight_gradient.addmm_(gradient.t(), hidden[part], alpha=scale)
                if mean is not None:
                    target_rows -= (kept * (mean * (smoothing * scale))).to(hidden.dtype)
            if weight_gradient is not None and states is not None:
                weight_gradient -= (states * (smoothing * scale / len(weight))).to(weight.dtype)
        if learns:
            if bias is not None and bias_gradient is not None:
                bias_gradient = bias_gradient.to(bias.dtype)
            ctx.save_for_backward(hidden_gradient, weight_gradient, bias_gradient)
        nats = nats * scale
        total = torch.lerp(nats, evenly * scale, smoothing)
        ctx.mark_non_differentiable(nats)
        return total, nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient, weight_gradient, bias_gradient = ctx.saved_tensors
        if gradient.device.type != "cpu" or gradient.item() != 1.0:  # the usual 1 is not worth a pass over the weights
            bias_gradient = None if bias_gradient is None else (bias_gradient * gradient).to(bias_gradient.dtype)
            gradient = gradient.to(hidden_gradient.dtype)
            hidden_gradient = hidden_gradient * gradient
            weight_gradient = None if weight_gradient is None else weight_gradient * gradient
        return hidden_gradient, weight_gradient, None, None, None, None, bias_gradient, None, None


def linear_log_probabilities(
    hidden: Float[Tensor, "tokens width"], weight: Float[Tensor, "vocab width"], targets: Int[Tensor, " tokens"]
) -> Float[Tensor, " tokens"]:
    """`log softmax(hidden @ weight.T)[target]` of each token, in nats.

    The logits are made a few rows at a time, and again for the gradients, so they are never all in memory.
    """
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    out: Tensor = _LinearLogProbabilities.apply(hidden, weight, targets)  # type: ignore[no-untyped-call]
    return out


class _LinearLogProbabilities(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        found = []
        with torch.autocast(hidden.device.type, enabled=False):
            for part in _parts(hidden, weight):
                logs = torch.log_softmax(_logits(hidden[part], weight), 1)
                found.append(logs.gather(1, targets[part].unsqueeze(1))[:, 0])
        ctx.save_for_backward(hidden, weight, targets)
        return torch.cat(found) if found else hidden.new_zeros(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, targets = ctx.saved_tensors
        to_hidden = torch.empty_like(hidden)
        to_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        with torch.autocast(hidden.device.type, enabled=False):
            for part in _parts(hidden, weight):
                gain = gradient[part].unsqueeze(1)
                to_logits = torch.softmax(_logits(hidden[part], weight), 1).mul_(-gain)
                to_logits = to_logits.scatter_add_(1, targets[part].unsqueeze(1), gain).to(hidden.dtype)
                to_hidden[part] = to_logits @ weight
                if to_weight is not None:
                    to_weight.addmm_(to_logits.t(), hidden[part])
        return to_hidden, to_weight, None


def _parts(hidden: Tensor, weight: Tensor) -> list[slice]:
    """Rows whose logits are in memory together."""
    rows = max(256, _LOGITS_AT_ONCE // weight.shape[0])
    return [slice(first, first + rows) for first in range(0, len(hidden), rows)]


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    return (hidden @ weight.t()).to(torch.promote_types(hidden.dtype, torch.float32))
