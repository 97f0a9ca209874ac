"""The resize rules that published numbers rest on. Each gives another FID for the same pictures: a number names its rule.

- `tf1-bilinear`: TensorFlow 1's, whose grid starts at the corner: FID's own, and torch-fidelity's
- `clean-bicubic`: Pillow's bicubic filter in floating point, which smooths when it shrinks (Parmar et al. 2022,
  arXiv:2104.11222)
- `torch-bilinear`: `F.interpolate`, whose grid starts half a pixel in: pytorch-fid's; it does not smooth
- `torch-antialias`: the same, smoothing when it shrinks: torchmetrics'
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Rule = Literal["tf1-bilinear", "clean-bicubic", "torch-bilinear", "torch-antialias"]
RULES: tuple[Rule, ...] = ("tf1-bilinear", "clean-bicubic", "torch-bilinear", "torch-antialias")


def resize(
    pictures: Float[Tensor, "batch channels h w"], size: int, rule: Rule
) -> Float[Tensor, "batch channels size size"]:
    """Pictures of values 0 to 255, not rounded, made square of `size` pixels."""
    if rule == "tf1-bilinear":
        return _tensorflow(pictures, size)
    if rule == "clean-bicubic":
        return _pillow(pictures, size)
    return F.interpolate(
        pictures, (size, size), mode="bilinear", align_corners=False, antialias=rule == "torch-antialias"
    )


def _tensorflow(pictures: Tensor, size: int) -> Tensor:
    """Rows and columns from the source's corner in steps of source over size, the last one repeated."""
    (top, bottom, down), (left, right, along) = (_between(pictures.shape[side], size, pictures) for side in (2, 3))
    upper, lower = pictures[:, :, top], pictures[:, :, bottom]
    one = upper[..., left] + (upper[..., right] - upper[..., left]) * along
    other = lower[..., left] + (lower[..., right] - lower[..., left]) * along
    out: Tensor = one + (other - one) * down[:, None]
    return out


def _between(source: int, size: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For each target place the two source places that it lies between, and how far it is to the second."""
    place = torch.arange(size, dtype=torch.float32, device=like.device) * torch.tensor(source / size)
    before = place.long()
    return before, (before + 1).clamp_max(source - 1), (place - before).to(like.dtype)


def _pillow(pictures: Tensor, size: int) -> Tensor:
    import numpy as np
    from PIL import Image

    planes = pictures.flatten(0, 1).float().cpu().numpy()
    resized = [
        np.asarray(Image.fromarray(plane, mode="F").resize((size, size), Image.Resampling.BICUBIC)) for plane in planes
    ]
    stacked = torch.from_numpy(np.stack(resized)).to(pictures)
    return stacked.view(*pictures.shape[:2], size, size)
