"""Sheets of pictures as PNG."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid, pairs

Pictures = UInt8[np.ndarray, "n height width channels"]


def grid_png(pictures: Pictures, columns: int | None = None) -> bytes:
    """Pictures side by side."""
    return _png(grid(_images(pictures), columns))


def pairs_png(above: Pictures, below: Pictures) -> bytes:
    """Rows of pictures, each above the one that it belongs to."""
    return _png(pairs(_images(above), _images(below)))


def _images(pictures: Pictures) -> list[Image.Image]:
    return [to_image(np.asarray(each)) for each in pictures]


def _png(sheet: Image.Image) -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()
