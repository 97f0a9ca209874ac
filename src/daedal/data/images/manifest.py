"""The manifest of a folder of pictures: what was built, from what, how, and what was left out."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from daedal.codecs.raster import Raster
from daedal.config import Config
from daedal.data.images.options import ImageOptions
from daedal.data.manifest import MANIFEST, Count, Dropped, Duplicates, SourceRecord
from daedal.errors import DaedalError
from daedal.files import read_json

FORMAT = "daedal-images"


class ImageSplitRecord(Config):
    """One split: its pictures, how many of each class, and the hash of pixels and labels."""

    pictures: int = Field(ge=0)
    captioned: int = Field(ge=0)
    classes: tuple[int, ...]
    fingerprint: str

    @property
    def labelled(self) -> int:
        """Pictures with a class."""
        return sum(self.classes)


class ImageManifest(Config):
    """Everything about a folder of pictures but the pictures."""

    format: Literal["daedal-images"] = "daedal-images"
    version: Literal[1] = 1
    fingerprint: str
    request: str
    made_with: dict[str, str]
    options: ImageOptions
    sources: tuple[SourceRecord, ...]
    raster: Raster
    classes: tuple[str, ...]
    splits: dict[str, ImageSplitRecord]
    split_by: str
    dropped: tuple[Dropped, ...] = ()
    duplicates: Duplicates = Duplicates()
    sizes: tuple[Count, ...] = ()
    formats: tuple[Count, ...] = ()
    notes: tuple[str, ...] = ()


def read_image_manifest(folder: Path) -> ImageManifest:
    """The manifest of a folder of pictures.

    Raises:
        DaedalError: it is none, or its manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DaedalError(f"{folder} is not a data folder", "Give a folder that `daedal data build` wrote")
    values = read_json(path)
    kind = values.get("format") if isinstance(values, dict) else None
    if kind == "daedal-data":
        raise DaedalError(f"{folder} holds text, not pictures", "Give a data folder that was built from pictures")
    if kind != FORMAT:
        raise DaedalError(f"{path} is not the manifest of a data folder", "Build the data again")
    return ImageManifest.parse(values, str(path))
