"""Clips on one sheet: a row of frames for each, with what was asked for above it, and whether it is so."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from daedal.codecs.raster import to_image
from daedal.codecs.sheet import enlarged, visible_scale

Frames = UInt8[np.ndarray, "frames height width 3"]
_GAP, _MARK, _LINE = 2, 6, 17
_HOLDS, _FAILS, _INK = (47, 133, 79), (196, 52, 45), (40, 44, 52)
_WIDEST = 768


def contact_sheet(
    clips: Iterable[Frames], captions: Sequence[str] = (), holds: Sequence[bool | None] = ()
) -> Image.Image:
    """The sheet.

    Args:
        captions: of the clips; rows have none unless given.
        holds: whether each shows what its caption says: a green or a red bar before its row.
    """
    rows = [
        _row(clip, captions[place] if captions else "", holds[place] if holds else None)
        for place, clip in enumerate(clips)
    ]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height + 2 * _GAP for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height + 2 * _GAP
    return sheet


def _row(clip: Frames, caption: str, holds: bool | None) -> Image.Image:
    height, width = clip.shape[1:3]
    scale = visible_scale(width, height, len(clip), _WIDEST)
    left, top = (0 if holds is None else _MARK + _GAP), (_LINE if caption else 0)
    across, down = width * scale, height * scale
    row = Image.new("RGB", (left + len(clip) * (across + _GAP) - _GAP, top + down), "white")
    draw = ImageDraw.Draw(row)
    if caption:
        draw.text((left, 1), " ".join(caption.split()), fill=_INK, font=ImageFont.load_default(12))
    if holds is not None:
        draw.rectangle((0, top, _MARK - 1, top + down), fill=_HOLDS if holds else _FAILS)
    for number, frame in enumerate(clip):
        row.paste(enlarged(to_image(frame), scale), (left + number * (across + _GAP), top))
    return row
