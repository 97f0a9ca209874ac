"""A normalising flow of affine couplings (Dinh et al. 2017, arXiv:1605.08803) over vectors: an exact density that draws."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


def standard_log_prob(x: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
    """Log-density of independent standard normal values, in nats."""
    return -0.5 * (x.square() + math.log(2 * math.pi)).flatten(1).sum(1)


class Coupling(nn.Module):
    """Scales and shifts one half of a vector by what a small network makes of the other half."""

    def __init__(self, size: int, width: int, flipped: bool) -> None:
        super().__init__()
        self.flipped, self.kept = flipped, size // 2
        self.inner = nn.Linear(self.kept, width)
        self.outer = nn.Linear(width, 2 * (size - self.kept))

    def _parameters_of(self, kept: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        hidden = self.inner(kept)
        if condition is not None:
            hidden = hidden + condition
        log_scale, shift = self.outer(F.silu(hidden)).float().chunk(2, -1)
        return 2 * torch.tanh(log_scale / 2), shift  # a scale of at most e^2: no layer can run away

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Towards noise; and the logarithm of the volume's change."""
        if self.flipped:
            x = x.flip(-1)
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        log_scale, shift = self._parameters_of(kept, condition)
        x = torch.cat((kept, (moved + shift) * torch.exp(log_scale)), -1)
        return (x.flip(-1) if self.flipped else x), log_scale.sum(-1)

    def back(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """From noise."""
        if self.flipped:
            x = x.flip(-1)
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        log_scale, shift = self._parameters_of(kept, condition)
        x = torch.cat((kept, moved * torch.exp(-log_scale) - shift), -1)
        return x.flip(-1) if self.flipped else x


class CouplingFlow(nn.Module):
    """Couplings that take the halves in turn. New, it is the identity."""

    def __init__(self, size: int, depth: int, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Coupling(size, width, layer % 2 == 1) for layer in range(depth))

    def forward(
        self, x: Float[Tensor, "batch size"], condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "batch size"], Float[Tensor, " batch"]]:
        """The noise that `x` comes from, and the logarithm of the volume's change: log-densities differ by it."""
        volume = torch.zeros(len(x), dtype=x.dtype, device=x.device)
        for layer in self.layers:
            x, change = layer(x, condition)
            volume = volume + change
        return x, volume

    def back(self, noise: Float[Tensor, "batch size"], condition: Tensor | None = None) -> Float[Tensor, "batch size"]:
        """What becomes of noise: a draw."""
        for layer in reversed(self.layers):
            noise = layer.back(noise, condition)  # type: ignore[operator]
        return noise

    @torch.no_grad()
    def initialise(self) -> None:
        """The identity; call it after the linear layers have their first weights."""
        for layer in self.layers:
            layer.outer.weight.zero_()  # type: ignore[union-attr, operator]
