"""How near pictures come back through a model's latents: mean squared error, PSNR and SSIM, a value for each picture."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

_WINDOW, _DEVIATION = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
MOST_DECIBELS = 100.0


@dataclass(frozen=True)
class Errors:
    """A value for each picture; PSNR in decibels, at most 100."""

    mse: Float[np.ndarray, " n"]
    psnr: Float[np.ndarray, " n"]
    ssim: Float[np.ndarray, " n"]


def errors(
    originals: UInt8[np.ndarray, "n height width channels"], back: UInt8[np.ndarray, "n height width channels"]
) -> Errors:
    """Of pictures as bytes; the errors are of values from 0 to 1."""
    one, other = (
        torch.from_numpy(np.array(pictures.transpose(0, 3, 1, 2), order="C")).double() / 255
        for pictures in (originals, back)
    )
    mse = (one - other).square().mean((1, 2, 3))
    psnr = (-10 * mse.clamp_min(1e-10).log10()).clamp_max(MOST_DECIBELS)
    return Errors(mse.numpy(), psnr.numpy(), _ssim(one, other).numpy())


def _ssim(one: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Wang et al. 2004, with their Gaussian window of eleven pixels (less where the picture has less), where it fits."""
    size = min(_WINDOW, *one.shape[2:])
    places = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    line = torch.exp(-(places**2) / (2 * _DEVIATION**2))
    line = line / line.sum()

    def blurred(x: Tensor) -> Tensor:
        """By the Gaussian's line along the one side, then along the other."""
        planes = x.flatten(0, 1)[:, None]
        across = F.conv2d(F.conv2d(planes, line.view(1, 1, 1, size)), line.view(1, 1, size, 1))
        return across.view(*x.shape[:2], *across.shape[2:])

    mean_one, mean_other = blurred(one), blurred(other)
    spread_one = blurred(one * one) - mean_one**2
    spread_other = blurred(other * other) - mean_other**2
    together = blurred(one * other) - mean_one * mean_other
    alike = (2 * mean_one * mean_other + _C1) * (2 * together + _C2)
    apart = (mean_one**2 + mean_other**2 + _C1) * (spread_one + spread_other + _C2)
    return (alike / apart).mean((1, 2, 3))
