"""The manifest of a folder of pictures: what was built, from what, how, and what was left out."""

from typing import Literal

from pydantic import Field

from daedal.codecs.raster import Raster
from daedal.config import Config
from daedal.data.images.options import ImageOptions
from daedal.data.manifest import Count, DataManifest


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


class ImageManifest(DataManifest):
    """Everything about a folder of pictures but the pictures."""

    format: Literal["daedal-images"] = "daedal-images"
    options: ImageOptions
    raster: Raster
    classes: tuple[str, ...]
    splits: dict[str, ImageSplitRecord]
    sizes: tuple[Count, ...] = ()
    formats: tuple[Count, ...] = ()
