"""Positions: rotary ones (Su et al. 2021) and the scalings that stretch their context, sinusoids, and the places of pixels."""

import math
from typing import Literal, Self

import torch
from jaxtyping import Complex, Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from daedal.config import Config


class RopeScaling(Config):
    """How rotary frequencies are stretched to a longer context; names as in Hugging Face's `rope_parameters`."""

    kind: Literal["linear", "dynamic", "llama3", "yarn"]
    factor: float = Field(ge=1)
    original_context: int | None = Field(default=None, ge=1)
    low_freq_factor: float | None = Field(default=None, gt=0)
    high_freq_factor: float | None = Field(default=None, gt=0)
    beta_fast: float = Field(default=32.0, gt=0)
    beta_slow: float = Field(default=1.0, gt=0)
    attention_factor: float | None = Field(default=None, gt=0)
    mscale: float | None = None
    mscale_all_dim: float | None = None
    truncate: bool = True

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "llama3":
            if self.original_context is None or self.low_freq_factor is None or self.high_freq_factor is None:
                raise ValueError("llama3 needs original_context, low_freq_factor and high_freq_factor")
            if self.high_freq_factor <= self.low_freq_factor:
                raise ValueError("high_freq_factor must be greater than low_freq_factor")
        if self.kind == "yarn" and self.original_context is None:
            raise ValueError("yarn needs original_context")
        return self


class Rotary:
    """Turns queries and keys by an angle that grows with their position.

    Holds no parameters. A table of rotations is kept between calls and grows when a longer sequence comes.
    """

    def __init__(self, head_width: int, theta: float, context: int, scaling: RopeScaling | None = None) -> None:
        self.head_width, self.theta, self.context, self.scaling = head_width, theta, context, scaling
        self._table: Complex[Tensor, "length pairs"] | None = None

    def turns(self, positions: Int[Tensor, "*batch time"], length: int) -> Complex[Tensor, "*batch time 1 pairs"]:
        """The rotation of each pair of channels, as a complex number, at `positions`, all below `length`."""
        table = self._table
        if self.scaling is not None and self.scaling.kind == "dynamic" and length > self.context:
            table = self._build(length, positions.device)  # these frequencies hold for this length only
        elif table is None or len(table) < length or table.device != positions.device:
            table = self._table = self._build(1 << (length - 1).bit_length(), positions.device)
        return table[positions].unsqueeze(-2)

    def frequencies(self, length: int) -> tuple[Float[Tensor, " pairs"], float]:
        """Angle per position of each pair of channels, and the factor on cosine and sine (1 but for yarn)."""
        scaling, width, theta = self.scaling, self.head_width, self.theta
        if scaling is not None and scaling.kind == "dynamic" and length > self.context:
            # NTK-aware scaling, recomputed for the length at hand
            theta *= (scaling.factor * length / self.context - (scaling.factor - 1)) ** (width / (width - 2))
        base = 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width)
        if scaling is None or scaling.kind == "dynamic":
            return base, 1.0
        if scaling.kind == "linear":
            return base / scaling.factor, 1.0
        return _llama3(base, scaling) if scaling.kind == "llama3" else _yarn(base, scaling, width, theta)

    def _build(self, length: int, device: torch.device) -> Complex[Tensor, "length pairs"]:
        frequencies, factor = self.frequencies(length)
        angles = torch.outer(torch.arange(length, dtype=torch.float32), frequencies)
        return torch.polar(torch.full_like(angles, factor), angles).to(device)


class GridRotary:
    """Rotary positions of a grid: half of the pairs of channels turn with the row, half with the column (Heo et al. 2024).

    Holds no parameters.
    """

    def __init__(self, head_width: int, theta: float) -> None:
        self.head_width, self.theta = head_width, theta

    def turns(self, rows: int, columns: int, device: torch.device) -> Complex[Tensor, "time 1 pairs"]:
        """The rotation of each pair of channels at each place of the grid, row by row."""
        pairs = self.head_width // 2
        down, across = pairs - pairs // 2, pairs // 2
        row = torch.arange(rows, device=device).repeat_interleave(columns)
        column = torch.arange(columns, device=device).repeat(rows)
        angles = [
            torch.outer(place, self.theta ** (-torch.arange(count, device=device) / count))
            for place, count in ((row, down), (column, across))
        ]
        angle = torch.cat(angles, 1)
        return torch.polar(torch.ones_like(angle), angle).unsqueeze(1)


class Sinusoids:
    """A vector for each position, of waves ever longer, which is added to the token's (Vaswani et al. 2017): all sines, then
    all cosines.

    Holds no parameters. The table is kept between calls and grows when a longer sequence comes.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._table: Float[Tensor, "length width"] | None = None

    def at(self, positions: Int[Tensor, "*batch"], length: int) -> Float[Tensor, "*batch width"]:
        """The vectors of `positions`, all below `length`."""
        table = self._table
        if table is None or len(table) < length or table.device != positions.device:
            table = self._table = self._build(1 << (length - 1).bit_length(), positions.device)
        return table[positions]

    def _build(self, length: int, device: torch.device) -> Float[Tensor, "length width"]:
        waves = 10000.0 ** (-torch.arange(0, self.width, 2, dtype=torch.float64) / self.width)
        angles = torch.outer(torch.arange(length, dtype=torch.float64), waves)
        return torch.cat((angles.sin(), angles[:, : self.width // 2].cos()), 1).float().to(device)


def places(height: int, width: int, device: torch.device) -> Float[Tensor, "2 height width"]:
    """Row and column of each pixel, from -1 to 1, for convolutions, which cannot tell where they are (Liu et al. 2018)."""
    down, across = (torch.linspace(-1, 1, size, device=device) for size in (height, width))
    return torch.stack(torch.meshgrid(down, across, indexing="ij"))


def _llama3(base: Tensor, scaling: RopeScaling) -> tuple[Tensor, float]:
    """Llama 3.1: long wavelengths are stretched, short ones kept, those between blended."""
    assert scaling.original_context is not None
    assert scaling.low_freq_factor is not None
    assert scaling.high_freq_factor is not None
    turns = scaling.original_context * base / (2 * math.pi)  # of each channel within the original context
    blend = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    blend = blend.clamp(0, 1)
    return (1 - blend) * base / scaling.factor + blend * base, 1.0


def _yarn(base: Tensor, scaling: RopeScaling, width: int, theta: float) -> tuple[Tensor, float]:
    """YaRN (Peng et al. 2023), equations 17 to 22."""
    assert scaling.original_context is not None

    def channel(rotations: float) -> float:
        return width * math.log(scaling.original_context / (rotations * 2 * math.pi)) / (2 * math.log(theta))  # type: ignore[operator]

    low, high = channel(scaling.beta_fast), channel(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = ((torch.arange(width // 2) - low) / (max(high - low, 1e-3))).clamp(0, 1)
    factor = scaling.attention_factor
    if factor is None:
        factor = _magnitude(scaling.factor, 1.0)
        if scaling.mscale and scaling.mscale_all_dim:
            factor = _magnitude(scaling.factor, scaling.mscale) / _magnitude(scaling.factor, scaling.mscale_all_dim)
    return ramp * base / scaling.factor + (1 - ramp) * base, factor


def _magnitude(factor: float, mscale: float) -> float:
    return 0.1 * mscale * math.log(factor) + 1.0 if factor > 1 else 1.0


def rotate(
    x: Float[Tensor, "batch time heads width"], turns: Complex[Tensor, "*batch time 1 pairs"]
) -> Float[Tensor, "batch time heads width"]:
    """Rotate each pair of neighbouring channels, seen as one complex number: a single pass over memory."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # there is no complex bfloat16
    pairs = torch.view_as_complex(wide.view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turns).flatten(-2).type_as(x)
