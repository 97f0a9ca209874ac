"""Pictures together on a sheet: in a grid or in pairs, tiny ones enlarged so that a person sees them."""

import math
from collections.abc import Sequence

from PIL import Image

from daedal.errors import DaedalError

GAP = 2
"""Pixels between two pictures."""
_MOST_SIDE, _MOST = 65_000, 500_000_000
"""Pixels of a side and of a sheet, at most: a JPEG has no more, and a browser's memory neither."""
_SHOWN = 128
"""Pixels of a side that a person sees well."""


def grid(
    images: Sequence[Image.Image], columns: int | None = None, scale: int | None = None, gap: int = GAP
) -> Image.Image:
    """Pictures side by side, row by row.

    Args:
        columns: about as many as rows unless given, rather a few more if that fills the last row.
        scale: how many pixels wide and high each pixel becomes; as many as make tiny pictures visible unless given.
        gap: pixels between two pictures: white, or clear where the pictures have transparency.

    Raises:
        DaedalError: there is no picture, or no column, or the sheet would be too large.
    """
    if not images:
        raise DaedalError("There are no pictures to put side by side", "Give at least one")
    width, height = max(image.width for image in images), max(image.height for image in images)
    columns, rows = lay_out(len(images), width, height, columns)
    scale = scale or visible_scale(width, height, max(columns, rows))
    mode = _common_mode(images)
    across, down = width * scale + gap, height * scale + gap
    ground = (255, 255, 255, 0) if mode == "RGBA" else "white"
    sheet = Image.new(mode, (columns * across - gap, rows * down - gap), ground)
    for i, image in enumerate(images):
        sheet.paste(enlarged(image.convert(mode), scale), (i % columns * across, i // columns * down))
    return sheet


def lay_out(count: int, width: int, height: int, columns: int | None = None) -> tuple[int, int]:
    """Columns and rows of a sheet of so many pictures, of this size each.

    Raises:
        DaedalError: there is no column, or no program would open the sheet.
    """
    if columns is not None and columns < 1:
        raise DaedalError(f"columns is {columns}", "Ask for at least one")
    columns = min(count, columns or _columns(count))
    rows = math.ceil(count / columns)
    across, down = columns * (width + GAP), rows * (height + GAP)
    if max(across, down) > _MOST_SIDE or across * down > _MOST:
        raise DaedalError(
            f"A sheet of {count:,} pictures would be {across:,} x {down:,} pixels, which few programs open",
            "Ask for fewer pictures, or for a folder of them by a name without an ending",
        )
    return columns, rows


def pairs(
    above: Sequence[Image.Image],
    below: Sequence[Image.Image],
    columns: int = 8,
    scale: int | None = None,
    gap: int = GAP,
) -> Image.Image:
    """Rows of pictures, each above the one that belongs to it; the last row is filled up with white."""
    columns = min(columns, len(above))
    images: list[Image.Image] = []
    for first in range(0, len(above), columns):
        one, other = above[first : first + columns], below[first : first + columns]
        empty = [Image.new("L", one[0].size, "white")] * (columns - len(one))
        images += [*one, *empty, *other, *empty]
    return grid(images, columns, scale, gap)


def enlarged(image: Image.Image, scale: int) -> Image.Image:
    """The image with each pixel a square of `scale` pixels."""
    return image if scale == 1 else image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def visible_scale(width: int, height: int, count: int = 1, most: int = 2048) -> int:
    """By how much to enlarge tiny pictures so that a person sees them; `count` in a row are at most about `most` wide."""
    return max(1, min(_SHOWN // max(width, height), most // (count * width)))


def _columns(count: int) -> int:
    root = math.ceil(math.sqrt(count))
    return next((columns for columns in range(root, 2 * root) if count % columns == 0), root)


def _common_mode(images: Sequence[Image.Image]) -> str:
    """The smallest mode that holds all images."""
    if any(image.has_transparency_data for image in images):
        return "RGBA"
    return "L" if all(image.mode in ("L", "1") for image in images) else "RGB"
