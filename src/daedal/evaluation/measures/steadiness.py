"""How evenly the frames of a clip follow each other, and what stays in it: numbers that need no caption and no network.

None is best at 0 or at 1: what is usual in the data is right. Values of pixels are taken from 0 to 1.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, UInt8

Frames = UInt8[np.ndarray, "frames height width 3"]
_EQUAL = 0.5 / 255  # mean difference of two frames that a codec or a file may make
_STANDS_OUT = 0.12  # from the ground, in the colour that differs most
_LEVELS = 4  # of each colour, where shares of colours are counted


def change(clip: Frames) -> float:
    """The mean absolute difference of neighbouring frames."""
    return float(np.abs(_steps(clip)).mean())


def jerk(clip: Frames) -> float:
    """The mean absolute second difference of frames: how far a frame is from where its neighbours put it."""
    return float(np.abs(np.diff(_steps(clip), axis=0)).mean()) if len(clip) > 2 else 0.0


def flicker(clip: Frames) -> float:
    """How much changes in a frame and changes back in the next, in the mean over pixels."""
    steps = _steps(clip)
    if len(steps) < 2:
        return 0.0
    back = steps[:-1] * steps[1:] < 0
    return float((np.minimum(np.abs(steps[:-1]), np.abs(steps[1:])) * back).mean())


def frozen(clip: Frames) -> float:
    """The share of frames that are as the one before."""
    return float((np.abs(_steps(clip)).mean(axis=(1, 2, 3)) < _EQUAL).mean())


def colour_persistence(clip: Frames) -> float:
    """How much of the first frame's colours the others have: the intersection of their shares of 64 colours, 0 to 1."""
    levels = clip.astype(np.int64) * _LEVELS // 256
    codes = (levels[..., 0] * _LEVELS + levels[..., 1]) * _LEVELS + levels[..., 2]
    shares = np.stack([np.bincount(code.ravel(), minlength=_LEVELS**3) / code.size for code in codes])
    return float(np.minimum(shares[1:], shares[0]).sum(axis=1).mean())


def area_persistence(clip: Frames) -> float | None:
    """How far what stands out of the ground keeps its area from frame to frame: the smaller over the larger of two neighbours;
    None where nothing stands out. The ground of a clip is the usual colour of its frames' border."""
    values = clip.astype(np.float32) / 255
    border = np.concatenate([values[:, (0, -1)].reshape(-1, 3), values[:, :, (0, -1)].reshape(-1, 3)])
    areas = (np.abs(values - np.median(border, axis=0)).max(axis=3) > _STANDS_OUT).mean(axis=(1, 2))
    larger = np.maximum(areas[1:], areas[:-1])
    shown = larger > 0
    return float((np.minimum(areas[1:], areas[:-1])[shown] / larger[shown]).mean()) if shown.any() else None


STEADINESS: Mapping[str, tuple[str, Callable[[Frames], float | None]]] = {
    "frame-change": ("change from frame to frame", change),
    "frame-jerk": ("second difference of frames", jerk),
    "flicker": ("flicker", flicker),
    "frozen-frames": ("frozen frames", frozen),
    "colour-persistence": ("colours that persist", colour_persistence),
    "area-persistence": ("area that persists", area_persistence),
}
"""By quantity: what it is called, and what it is of a clip."""


def _steps(clip: Frames) -> Float[np.ndarray, "steps height width 3"]:
    return np.diff(clip.astype(np.float32) / 255, axis=0)
