"""A contact sheet: a few pictures of every class, or of all, as one PNG."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64, UInt8

from daedal.codecs.raster import to_image
from daedal.files import atomic_path

if TYPE_CHECKING:
    from PIL.Image import Image

SHEET = "contact-sheet.png"
Array = np.ndarray
_COLUMNS = 16
_ROWS = 10
_SIDE = 56  # pictures are shown about so large
_GAP = 2
_GROUND = (236, 236, 236)
_INK = (40, 40, 40)
_LINE = 14
_NAME = 16  # letters of a class's name that are shown


def write_sheet(
    path: Path,
    images: UInt8[Array, "count height width channels"],
    labels: Int64[Array, " count"],
    classes: tuple[str, ...],
) -> None:
    """Write a contact sheet: a row for each of the first classes where there are classes, else pictures from all over.

    Args:
        path: of the PNG.
        images: what to draw from, evenly.
        labels: the class of each, -1 for none.
        classes: their names.
    """
    named = [number for number in range(len(classes)) if (labels == number).any()]
    rows: list[tuple[str, Array]] = []
    if named:
        lines = max(1, _ROWS // len(named))  # few classes have several rows each
        for number in named[:_ROWS]:
            some = _spread(np.flatnonzero(labels == number), _COLUMNS * lines)
            rows += [(classes[number], some[first : first + _COLUMNS]) for first in range(0, len(some), _COLUMNS)]
    else:
        some = _spread(np.arange(len(images)), _COLUMNS * _ROWS)
        rows = [("", some[first : first + _COLUMNS]) for first in range(0, len(some), _COLUMNS)]
    sheet = _drawn(images, rows)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=False)


def _spread(places: Array, count: int) -> Array:
    """So many of them, evenly."""
    if len(places) <= count:
        return places
    return places[np.arange(count) * len(places) // count]


def _drawn(images: Array, rows: list[tuple[str, Array]]) -> "Image":
    from PIL import Image, ImageDraw, ImageFont

    height, width = images.shape[1:3]
    times = max(1, round(_SIDE / max(height, width)))
    down, across = height * times + _GAP, width * times + _GAP
    columns = max((len(places) for _, places in rows), default=1)
    gutter = 7 * max(len(_short(name)) for name, _ in rows) + 8 if rows and any(name for name, _ in rows) else 0
    sheet = Image.new("RGB", (gutter + columns * across + _GAP, len(rows) * max(down, _LINE) + _GAP), _GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for row, (name, places) in enumerate(rows):
        top = row * max(down, _LINE) + _GAP
        if name:
            draw.text((4, top + down // 2 - 8), _short(name), fill=_INK, font=font)
        for column, place in enumerate(places.tolist()):
            picture = to_image(np.asarray(images[place])).convert("RGBA")
            picture = picture.resize((width * times, height * times), Image.Resampling.NEAREST)
            sheet.paste(picture, (gutter + column * across + _GAP, top), picture)
    return sheet


def _short(name: str) -> str:
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= _NAME else plain[: _NAME - 3] + "..."
