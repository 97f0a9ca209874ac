"""Sheets of pictures as PNG."""

import io

import numpy as np
from jaxtyping import UInt8

from daedal.codecs.raster import to_image
from daedal.inference.sheet import grid

Pictures = UInt8[np.ndarray, "n height width channels"]


def grid_png(pictures: Pictures, columns: int | None = None) -> bytes:
    """Pictures side by side."""
    buffer = io.BytesIO()
    grid([to_image(np.asarray(each)) for each in pictures], columns).save(buffer, format="PNG")
    return buffer.getvalue()


def pairs_png(above: Pictures, below: Pictures, columns: int = 8) -> bytes:
    """Rows of pictures, each above the one that it belongs to."""
    rows = []
    for start in range(0, len(above), columns):
        one, other = above[start : start + columns], below[start : start + columns]
        empty = np.full((min(columns, len(above)) - len(one), *above.shape[1:]), 255, dtype=np.uint8)
        rows += [one, empty, other, empty]
    return grid_png(np.concatenate(rows), min(columns, len(above)))
