"""Quantizers: continuous codes become whole numbers (ids) and the nearest codes that those stand for.

- FSQ: each channel is rounded to one of a few levels; nothing is learned, no code can die (Mentzer et al. 2023,
  arXiv:2309.15505)
- VQ: the nearest vector of a codebook that follows the data as a running mean (van den Oord et al. 2017, arXiv:1711.00937);
  begun from data, codes that nothing uses begin again from data. Its sums are over a whole step, however many batches and
  processes the step has
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Quantized:
    """What became of codes.

    Attributes:
        codes: the quantized ones; gradients pass through them as if nothing had been done (straight-through).
        ids: of each place.
        cost: what quantizing adds to the loss of each example.
        levels: the codes before they were rounded, counted from the lowest level, where there are levels.
    """

    codes: Float[Tensor, "batch channels h w"]
    ids: Int[Tensor, "batch h w"]
    cost: Float[Tensor, " batch"]
    levels: Float[Tensor, "batch channels h w"] | None = None


class Quantizer(nn.Module, ABC):
    """Counts how often each id was used since `usage` was last asked."""

    counts: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size, self.channels = size, channels
        self.register_buffer("counts", torch.zeros(size))

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Quantized:
        """The quantized codes of an encoder's output."""

    @abstractmethod
    def codes(self, ids: Int[Tensor, "batch h w"]) -> Float[Tensor, "batch channels h w"]:
        """What the ids stand for."""

    def initialise(self, generator: torch.Generator) -> None:
        """Its state anew."""
        self.counts.zero_()

    def observe(
        self, x: Float[Tensor, "batch channels h w"], ids: Int[Tensor, "batch h w"], first: int, step: int
    ) -> None:
        """Take note of what was quantized in training.

        Args:
            first: the number of the first example within its step.
            step: examples of the whole step.
        """
        self.counts += torch.bincount(ids.flatten(), minlength=self.size)

    def after_step(self, total: Callable[[Tensor], Tensor], steps: int) -> None:
        """What is learned otherwise than by gradients; `total` sums over processes, `steps` were done before."""

    def usage(self) -> dict[str, float]:
        """The share of ids in use and their perplexity; counted anew from one call to the next."""
        counts, seen = self.counts.double(), float(self.counts.sum())
        if not seen:
            return {}
        shares = counts / seen
        perplexity = math.exp(float(-(shares * shares.clamp_min(1e-12).log()).sum()))
        self.counts.zero_()
        return {"codes_used": float((counts > 0).double().mean()), "code_perplexity": perplexity}


class FSQ(Quantizer):
    """Finite scalar quantization: channel `i` has `levels[i]` values from -1 to 1."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__(math.prod(levels), len(levels))
        self.levels = tuple(levels)
        self.basis = tuple(math.prod(levels[:channel]) for channel in range(len(levels)))

    def _bound(self, x: Tensor) -> Tensor:
        """Into the open range that rounds to `levels` whole numbers; an even number of them lies around -1/2."""
        half = [(count - 1) * (1 + 1e-3) / 2 for count in self.levels]
        offset = [0.5 if count % 2 == 0 else 0.0 for count in self.levels]
        shift = [math.atanh(o / h) for o, h in zip(offset, half, strict=True)]
        return torch.tanh(x + _column(shift, x)) * _column(half, x) - _column(offset, x)

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Quantized:
        bounded = self._bound(x.float())
        half = _column([count // 2 for count in self.levels], bounded)
        rounded = bounded + (bounded.round() - bounded).detach()
        ids = ((bounded.detach().round() + half).long() * _column(self.basis, bounded).long()).sum(1)
        return Quantized((rounded / half).to(x.dtype), ids, x.new_zeros(len(x)), bounded + half)

    def codes(self, ids: Int[Tensor, "batch h w"]) -> Float[Tensor, "batch channels h w"]:
        levels, basis = _column(self.levels, ids), _column(self.basis, ids)
        half = levels // 2
        return ((ids[:, None] // basis) % levels - half) / half

    def nearest(self, codes: Float[Tensor, "batch channels h w"]) -> Int[Tensor, "batch h w"]:
        """The ids of the codes that are nearest to these."""
        return (levels_of(codes, self.levels) * _column(self.basis, codes).long()).sum(1)


def levels_of(codes: Float[Tensor, "batch channels h w"], levels: Sequence[int]) -> Int[Tensor, "batch channels h w"]:
    """The nearest levels of FSQ's codes, counted from the lowest."""
    count = _column(levels, codes)
    half = count.div(2, rounding_mode="floor")
    return (codes * half + half).round().clamp(codes.new_zeros(()), count - 1).long()


def _column(values: Sequence[float], like: Tensor) -> Float[Tensor, "1 channels 1 1"]:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)


class VQ(Quantizer):
    """Vector quantization by a codebook of running means.

    Args:
        decay: of the running means.
        commitment: how strongly the encoder is drawn to its codes.
        alive: a code used less than this share of the mean use begins again from data.
    """

    codebook: Tensor
    uses: Tensor
    sums: Tensor
    step_uses: Tensor
    step_sums: Tensor
    offered: Tensor

    def __init__(
        self, size: int, channels: int, decay: float = 0.99, commitment: float = 0.25, alive: float = 0.03
    ) -> None:
        super().__init__(size, channels)
        self.decay, self.commitment, self.alive = decay, commitment, alive
        for name in ("codebook", "sums"):
            self.register_buffer(name, torch.empty(size, channels))
        self.register_buffer("uses", torch.empty(size))
        self.register_buffer("step_uses", torch.zeros(size))
        self.register_buffer("step_sums", torch.zeros(size, channels))
        self.register_buffer("offered", torch.zeros(size, channels + 1))

    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        self.codebook.copy_(torch.randn(self.codebook.shape, generator=generator))
        for buffer in (self.uses, self.sums, self.step_uses, self.step_sums, self.offered):
            buffer.zero_()

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Quantized:
        rows = x.detach().movedim(1, -1)
        flat = rows.reshape(-1, self.channels).float()
        distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T
        ids = distance.argmin(1).view(rows.shape[:-1])
        codes = self.codes(ids).to(x.dtype)
        cost = self.commitment * (x - codes).square().flatten(1).mean(1)
        return Quantized(x + (codes - x).detach(), ids, cost)

    def codes(self, ids: Int[Tensor, "batch h w"]) -> Float[Tensor, "batch channels h w"]:
        return self.codebook[ids].movedim(-1, 1)

    @torch.no_grad()
    def observe(
        self, x: Float[Tensor, "batch channels h w"], ids: Int[Tensor, "batch h w"], first: int, step: int
    ) -> None:
        super().observe(x, ids, first, step)
        rows = x.detach().movedim(1, -1).reshape(-1, self.channels).float()
        self.step_uses += torch.bincount(ids.flatten(), minlength=self.size)
        self.step_sums.index_add_(0, ids.flatten(), rows)
        # Every code is offered one vector, spread evenly over the places of the step's pictures: whoever holds that picture
        # adds it, so that batches and processes come to the same offers
        places = ids[0].numel()
        wanted = torch.arange(self.size, device=x.device) * step * places // self.size
        example = (wanted // places - first) % step
        place = (wanted + torch.arange(self.size, device=x.device) * 7919) % places
        held = example < len(ids)
        picked = rows[(example * places + place)[held]]
        self.offered[held] += torch.cat((picked, picked.new_ones(len(picked), 1)), 1)

    @torch.no_grad()
    def after_step(self, total: Callable[[Tensor], Tensor], steps: int) -> None:
        uses, sums, offered = total(self.step_uses), total(self.step_sums), total(self.offered)
        for buffer in (self.step_uses, self.step_sums, self.offered):
            buffer.zero_()
        if not uses.sum():
            return
        mean_use = uses.sum() / self.size
        begun = bool(self.uses.any())
        self.uses.copy_(self.uses * self.decay + uses * (1 - self.decay))
        self.sums.copy_(self.sums * self.decay + sums * (1 - self.decay))
        fresh = offered[:, :-1] / offered[:, -1:].clamp_min(1)
        dead = (self.uses < self.alive * mean_use) | (not begun)
        dead &= offered[:, -1] > 0
        self.uses[dead] = mean_use
        self.sums[dead] = fresh[dead] * mean_use
        self.codebook.copy_(self.sums / self.uses.clamp_min(1e-6)[:, None])
