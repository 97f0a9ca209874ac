"""Several pictures together: on one sheet, or in a folder with an index."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from daedal.errors import DaedalError
from daedal.files import make_folder, write_text
from daedal.inference.picture import Picture, enlarged, save_image, visible_scale

INDEX = "index.jsonl"
"""In a folder of pictures: a line for each, with its file and where it comes from."""
_GAP = 2


def grid(
    pictures: Sequence[Picture | Image.Image], columns: int | None = None, scale: int | None = None, gap: int = _GAP
) -> Image.Image:
    """Pictures side by side, row by row.

    Args:
        columns: about as many as rows unless given.
        scale: how many pixels wide and high each pixel becomes; as many as make tiny pictures visible unless given.
        gap: pixels between two pictures: white, or clear where the pictures have transparency.

    Raises:
        DaedalError: there is no picture, or no column.
    """
    images = [picture.image if isinstance(picture, Picture) else picture for picture in pictures]
    if not images:
        raise DaedalError("There are no pictures to put side by side", "Give at least one")
    if columns is not None and columns < 1:
        raise DaedalError(f"columns is {columns}", "Ask for at least one")
    columns = min(len(images), columns or math.ceil(math.sqrt(len(images))))
    rows = math.ceil(len(images) / columns)
    width, height = max(image.width for image in images), max(image.height for image in images)
    scale = scale or visible_scale(width, height, max(columns, rows))
    mode = _common_mode(images)
    across, down = width * scale + gap, height * scale + gap
    ground = (255, 255, 255, 0) if mode == "RGBA" else "white"
    sheet = Image.new(mode, (columns * across - gap, rows * down - gap), ground)
    for i, image in enumerate(images):
        sheet.paste(enlarged(image.convert(mode), scale), (i % columns * across, i // columns * down))
    return sheet


def save_grid(pictures: Sequence[Picture], path: Path | str, columns: int | None = None) -> Path:
    """Write a sheet of pictures of one seed, which says where they come from; a single picture is written as it is."""
    if len(pictures) == 1:
        return pictures[0].save(path)
    record = pictures[0].provenance.model_dump(mode="json")
    labels = [picture.provenance.label for picture in pictures]
    return save_image(grid(pictures, columns), path, {**record, "count": len(pictures), "labels": labels})


def save_each(pictures: Sequence[Picture], folder: Path | str) -> list[Path]:
    """Write every picture as a PNG named by its number, and an index of JSON Lines that says where each comes from."""
    folder = make_folder(Path(folder))
    paths = [picture.save(folder / name) for picture, name in zip(pictures, names(pictures), strict=True)]
    records = [picture.provenance.model_dump(mode="json") for picture in pictures]
    write_index(folder, [{"file": path.name, **record} for path, record in zip(paths, records, strict=True)])
    return paths


def write_index(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write JSON Lines, a line for each picture in a folder."""
    write_text(folder / INDEX, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def names(pictures: Sequence[Picture]) -> list[str]:
    """The names that `save_each` gives the pictures: number, and class where there is one."""
    return [f"{picture.provenance.number:05}{_ending(picture.provenance.label)}.png" for picture in pictures]


def _ending(label: str | None) -> str:
    plain = "".join(c if c.isalnum() else "-" for c in label or "")[:40].strip("-")
    return f"-{plain}" if plain else ""


def _common_mode(images: Sequence[Image.Image]) -> str:
    """The smallest mode that holds all images."""
    if any(image.has_transparency_data for image in images):
        return "RGBA"
    return "L" if all(image.mode in ("L", "1") for image in images) else "RGB"
