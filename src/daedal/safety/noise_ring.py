"""A ring in the Fourier transform of the noise that a flow begins with (Wen et al. 2023, "Tree-Ring"): a mark in what is
drawn, not on it.

- the coefficients of a ring are drawn from the key in place of the seed: over keys the noise is exactly Gaussian, but all
  pictures of one key share them, and so a part of what is drawn
- it is found by following the flow backwards from the picture to its noise, which takes the model; where the ring then points
  is compared with the key: this p-value is exact for any picture (`directions.py`), while the chi-squared of Tree-Ring takes
  what comes out for Gaussian noise

No picture of Daedal has it unless a program asks for it: `docs/picture-watermarks.md` measures what it costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from daedal.nn.noise import Noise
from daedal.safety.directions import corrected, direction, tail
from daedal.safety.mark_finding import MarkFinding
from daedal.safety.watermark_keys import WatermarkKey

Array = np.ndarray
SCHEME = "noise-ring/1"
_INSIDE, _OUTSIDE = 0.1, 0.3
"""Radii of the ring in cycles a pixel: lower is what a picture is of, higher is lost on the way back."""
_STREAM = "prior"


@dataclass(frozen=True)
class RingedNoise(Noise):
    """Noise whose first picture has the ring of a key: for `Flow.sample` and `Flow.drawing`."""

    key: WatermarkKey | None = None

    def _rows(self, stream: str, draw: Callable[[np.random.Generator], Any]) -> list[Any]:
        rows = super()._rows(stream, draw)
        return [ringed(row, self.key) for row in rows] if stream == _STREAM and self.key is not None else rows


def ringed(noise: Float[Array, "channels height width"], key: WatermarkKey) -> Float[Array, "channels height width"]:
    """Noise with the coefficients of the ring of its first channel taken from the key."""
    coefficients = np.fft.fft2(noise[0], norm="ortho")
    down, across = _ring(*noise.shape[1:])
    drawn = direction(key.derived("noise ring"), "", len(down)) / np.sqrt(2)
    coefficients[down, across] = drawn
    coefficients[-down, -across] = drawn.conj()
    made = noise.copy()
    made[0] = np.fft.ifft2(coefficients, norm="ortho").real
    return made


def find_noise_ring(
    noise: Float[Tensor, "batch channels height width"], keys: Sequence[WatermarkKey]
) -> list[MarkFinding]:
    """Whether noise that pictures were followed back to (`Flow.encode`) has the ring of one of the keys.

    Returns:
        One finding for each picture; none without keys.
    """
    if not keys:
        return []
    down, across = _ring(*noise.shape[2:])
    found = []
    for picture in noise.double().cpu().numpy():
        ring = np.fft.fft2(picture[0], norm="ortho")[down, across]
        norm = float(np.linalg.norm(ring))
        if not norm or not np.isfinite(norm):
            found.append(MarkFinding(scheme=SCHEME, key=keys[0].id, p_value=None, note="this is no noise"))
            continue
        best = 1.0, keys[0]
        for key in keys:
            drawn = direction(key.derived("noise ring"), "", len(down))
            correlation = np.vdot(drawn, ring).real / (norm * np.linalg.norm(drawn))
            best = min(best, (float(tail(correlation, 2 * len(down))), key), key=lambda each: each[0])
        p_value = corrected(best[0], len(keys))
        found.append(MarkFinding(scheme=SCHEME, key=best[1].id, p_value=p_value, judged=2 * len(down)))
    return found


def _ring(height: int, width: int) -> tuple[Int[Array, " ring"], Int[Array, " ring"]]:
    """Rows and columns of the ring's coefficients, of each pair that is conjugate one."""
    down, across = np.meshgrid(
        np.arange(-(height // 2) + 1, height - height // 2), np.arange(width // 2), indexing="ij"
    )
    radius = np.hypot(down / height, across / width)
    inside = (radius >= _INSIDE) & (radius <= _OUTSIDE) & ((across > 0) | (down > 0))
    return down[inside], across[inside]
