"""How far two sounds are apart to the ear, by the magnitudes of their Fourier transforms at several resolutions (Yamamoto et
al. 2020, arXiv:1910.11480)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

RESOLUTIONS = (64, 128, 256, 512, 1024)
"""Samples of the windows, which lie a quarter of that apart."""
FLOOR = 1e-4
"""The least magnitude that is told from none."""
_TINY = 1e-9


def spectral_error(
    made: Float[Tensor, "batch samples"], real: Float[Tensor, "batch samples"], resolutions: Sequence[int] = RESOLUTIONS
) -> Float[Tensor, " batch"]:
    """Of each sound the relative error of its magnitudes and the error of their logarithm, on average over the resolutions."""
    errors = []
    for fft in resolutions:
        ours, theirs = (magnitudes(each, fft) for each in (made, real))
        relative = (ours - theirs).flatten(1).norm(dim=1) / theirs.flatten(1).norm(dim=1).clamp_min(1e-3)
        errors.append(relative + _logarithmic(ours, theirs))
    return torch.stack(errors).mean(0)


def log_spectral_distance(
    made: Float[Tensor, "batch samples"], real: Float[Tensor, "batch samples"], resolutions: Sequence[int] = RESOLUTIONS
) -> Float[Tensor, " batch"]:
    """Of each sound the mean absolute difference of log magnitudes, over the resolutions, in nepers (8.686 dB)."""
    return torch.stack([_logarithmic(*(magnitudes(each, fft) for each in (made, real))) for fft in resolutions]).mean(0)


def magnitudes(waves: Float[Tensor, "batch samples"], fft: int) -> Float[Tensor, "batch frames bins"]:
    """Of centred frames between zeros, under a Hann window."""
    frames = F.pad(waves, (fft // 2, fft // 2)).unfold(-1, fft, fft // 4) * torch.hann_window(fft, device=waves.device)
    spectrum = torch.fft.rfft(frames)
    found: Tensor = (spectrum.real.square() + spectrum.imag.square() + _TINY).sqrt()
    return found


def _logarithmic(
    ours: Float[Tensor, "batch frames bins"], theirs: Float[Tensor, "batch frames bins"]
) -> Float[Tensor, " batch"]:
    found: Tensor = (ours.clamp_min(FLOOR).log() - theirs.clamp_min(FLOOR).log()).abs().mean((1, 2))
    return found
