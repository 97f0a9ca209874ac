"""The watermark of a clip: that of a picture, the same in every frame, and found by what all frames say together.

A mark that stays where it is costs a video codec little, so it is kept; what moves behind it averages out. A single frame that
was taken from a clip is found as a picture.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from daedal.safety.mark_finding import MarkFinding
from daedal.safety.periodic_mark import find
from daedal.safety.picture_mark import add_mark, readable
from daedal.safety.picture_tiles import COARSE, SMALLEST, views
from daedal.safety.watermark_keys import WatermarkKey

Frames = UInt8[np.ndarray, "time height width 3"]
_LOOKED = 32
"""Frames that are looked at, evenly from all."""
_MOST_PIXELS = 2**26
"""Of a frame."""


def mark_clip(frames: Frames, key: WatermarkKey, payload: int) -> Frames | None:
    """Frames with the mark of a key and 32 bits of payload.

    Returns:
        None where it would not be found again: of frames under 32 pixels, or with too little room.
    """
    if not _fits(frames, SMALLEST):
        return None
    made = np.stack([add_mark(frame, key, payload) for frame in frames])
    return made if readable(_some(made), key, payload) else None


def find_clip_mark(frames: Frames, keys: Sequence[WatermarkKey]) -> MarkFinding | None:
    """Whether a clip, or what is left of it, has the mark of one of the keys; None without keys."""
    if not keys:
        return None
    if not _fits(frames, SMALLEST // 2):
        return MarkFinding(
            scheme=COARSE.scheme, key=keys[0].id, p_value=None, note="too small or too large to be judged"
        )
    return find(views(_some(frames)), keys)


def _some(frames: Frames) -> list[np.ndarray]:
    return list(frames[np.unique(np.linspace(0, len(frames) - 1, _LOOKED).astype(int))])


def _fits(frames: Frames, least: int) -> bool:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        return False
    return bool(min(frames.shape[1:3]) >= least and frames.shape[1] * frames.shape[2] <= _MOST_PIXELS)
