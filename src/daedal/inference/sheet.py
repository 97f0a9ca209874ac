"""Several pictures together: on one sheet, or in a folder with an index."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from daedal.codecs import sheet
from daedal.files import make_folder, write_text
from daedal.inference.picture import Picture, save_image

INDEX = "index.jsonl"
"""In a folder of pictures: a line for each, with its file and where it comes from."""


def grid(
    pictures: Sequence[Picture | Image.Image],
    columns: int | None = None,
    scale: int | None = None,
    gap: int = sheet.GAP,
) -> Image.Image:
    """Pictures side by side: see `daedal.codecs.sheet.grid`."""
    images = [picture.image if isinstance(picture, Picture) else picture for picture in pictures]
    return sheet.grid(images, columns, scale, gap)


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
