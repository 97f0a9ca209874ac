"""Muon for the matrices of a network and AdamW for everything else, stepped as one optimizer.

- Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/): momentum, then roughly the nearest
  (semi-)orthogonal matrix. Matrices of one shape are orthogonalised together, as one batch.
- AdamW is PyTorch's, fused.
- The whole state is a flat dictionary of tensors, so that a checkpoint needs no pickle.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Polar Express (Amsel et al. 2025, arXiv:2505.16932): at each iteration the best odd polynomial of degree five for where the
# singular values then are. Its first three do as well here as Newton-Schulz's usual five (docs/log.md).
_POLYNOMIALS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
)


def orthogonalise(matrices: Float[Tensor, "*batch rows columns"], dtype: torch.dtype = torch.float32) -> Tensor:
    """Roughly `U V^T` of each matrix `U S V^T`, computed in `dtype`: all but its smallest singular values end near 1."""
    x = matrices.to(dtype, copy=True)
    tall = x.size(-2) > x.size(-1)
    if tall:
        x = x.mT.contiguous()
    x /= x.norm(dim=(-2, -1), keepdim=True).mul_(1.01).clamp_min(1e-7)
    for a, b, c in _POLYNOMIALS:
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum orthogonalised; the update of a `rows x columns` matrix is scaled by `sqrt(max(1, rows / columns))`.

    Args:
        matrices: the parameters; a convolution's kernel is a matrix with a row for each output. A parameter that stacks
            several matrices along its rows says so in `splits`, and each is orthogonalised on its own.
        splits: for each parameter the row counts of its matrices.
        dtype: what matrices are orthogonalised in; bf16 will do, and is twice as fast where the machine has it.
    """

    def __init__(
        self,
        matrices: Sequence[Tensor],
        splits: Sequence[Sequence[int]],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._splits = dict(zip(matrices, splits, strict=True))
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            gradients = [p.grad for p in parameters]
            momenta = [self.state[p]["momentum_buffer"] for p in parameters]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            nesterov = torch._foreach_lerp(gradients, momenta, group["momentum"])
            if group["weight_decay"]:
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            same_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for parameter, update in zip(parameters, nesterov, strict=True):
                split, matrix = list(self._splits[parameter]), parameter.view(len(parameter), -1)
                for target, piece in zip(
                    torch.split(matrix, split), torch.split(update.flatten(1), split), strict=True
                ):
                    same_shape[piece.shape].append((target, piece))
            for shape, pairs in same_shape.items():
                updates = orthogonalise(torch.stack([piece for _, piece in pairs]), self._dtype)
                updates.mul_(-group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5)
                torch._foreach_add_([target for target, _ in pairs], list(updates.unbind()))


class Optimizer:
    """All optimizers of one player, stepped together, their learning rates driven by one factor."""

    def __init__(self, parts: Iterable[torch.optim.Optimizer]) -> None:
        self.parts = list(parts)
        for part in self.parts:
            for group in part.param_groups:
                group["peak"] = group["lr"]

    def step(self, factor: float) -> None:
        """One step at `factor` times the peak learning rates."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["peak"] * factor
            part.step()

    def state(self) -> dict[str, Tensor]:
        """Every tensor that the next step depends on, by name."""
        return {
            f"{index}.{number}.{key}": torch.as_tensor(value)
            for index, part in enumerate(self.parts)
            for number, parameter in enumerate(_parameters(part))
            for key, value in part.state[parameter].items()
        }

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        for name, tensor in tensors.items():
            index, number, key = name.split(".", 2)
            part = self.parts[int(index)]
            parameter = _parameters(part)[int(number)]
            # AdamW's step counter is a CPU or device scalar that must keep its own type
            part.state[parameter][key] = tensor.to(parameter.device) if tensor.ndim or parameter.is_cuda else tensor


def _parameters(part: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in part.param_groups for parameter in group["params"]]
