"""A built folder of pictures, opened: memory-mapped pixels, labels, captions.

- `{split}.images.npy`: uint8 `[pictures, height, width, channels]`
- `{split}.labels.npy`: int64 `[pictures]`, the number of each picture's class, -1 where it has none
- `{split}.pictures.parquet`: a row for each picture: name, caption, truth, hashes and what its size was
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int64, UInt8

from daedal.codecs.raster import to_image
from daedal.data.folder import DataFolder
from daedal.data.images.manifest import ImageManifest, ImageSplitRecord
from daedal.data.shards import load_array
from daedal.errors import DaedalError
from daedal.files import regular_size

if TYPE_CHECKING:
    from PIL.Image import Image

    from daedal.codecs.image import PixelCodec

Array = np.ndarray


def images_path(folder: Path, split: str) -> Path:
    """Where the pixels of a split lie."""
    return folder / f"{split}.images.npy"


def labels_path(folder: Path, split: str) -> Path:
    """Where the labels of a split lie."""
    return folder / f"{split}.labels.npy"


def pictures_path(folder: Path, split: str) -> Path:
    """Where what else is known of the pictures of a split lies."""
    return folder / f"{split}.pictures.parquet"


class ImageSplit:
    """One split of a folder of pictures.

    Attributes:
        images: the pixels, memory-mapped.
        labels: the class of each picture, -1 where it has none.
    """

    images: UInt8[Array, "count height width channels"]
    labels: Int64[Array, " count"]

    def __init__(self, folder: Path, name: str, record: ImageSplitRecord, shape: tuple[int, int, int]) -> None:
        self.name = name
        self.record = record
        self._folder = folder
        self.images = load_array(images_path(folder, name), mapped=record.pictures > 0)
        self.labels = load_array(labels_path(folder, name), mapped=False)
        if self.images.dtype != np.uint8 or self.images.shape != (record.pictures, *shape):
            raise DaedalError(f"{images_path(folder, name)} does not fit the manifest", "Build the data again")
        if self.labels.dtype != np.int64 or self.labels.shape != (record.pictures,):
            raise DaedalError(f"{labels_path(folder, name)} does not fit the manifest", "Build the data again")

    def __len__(self) -> int:
        return self.count

    @property
    def count(self) -> int:
        """Pictures."""
        return self.record.pictures

    @property
    def fingerprint(self) -> str:
        """SHA-256 of pixels and labels."""
        return self.record.fingerprint

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Where each picture is from."""
        return self._column("name")

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """What each picture shows, in words; empty where nobody said."""
        return self._column("caption")

    @cached_property
    def truths(self) -> tuple[str, ...]:
        """What each picture shows exactly, as JSON; empty where that is not known."""
        return self._column("truth")

    def picture(self, index: int) -> "Image":
        """Picture `index`.

        Raises:
            DaedalError: there are not so many.
        """
        if not 0 <= index < self.count:
            raise DaedalError(
                f"There is no picture {index} in the {self.name} split", f"It has pictures 0 to {self.count - 1}"
            )
        return to_image(np.asarray(self.images[index]))

    def _column(self, name: str) -> tuple[str, ...]:
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]

        path = pictures_path(self._folder, self.name)
        try:
            regular_size(path)
            values = parquet.read_table(path, columns=[name]).column(0).to_pylist()
        except (OSError, ArrowException, IndexError) as error:
            line = (str(error).splitlines() or ["no such column"])[0]
            raise DaedalError(f"{path} is damaged or missing ({line})", "Build the data again") from None
        if len(values) != self.count:
            raise DaedalError(f"{path} does not fit the manifest", "Build the data again")
        return tuple(value or "" for value in values)


class ImageDataset(DataFolder[ImageManifest, ImageSplit]):
    """A folder of pictures: a manifest, a codec and up to three splits."""

    manifest_type = ImageManifest

    @cached_property
    def codec(self) -> "PixelCodec":
        """The codec that turns these pictures into numbers."""
        from daedal.codecs.image import PixelCodec

        return PixelCodec.of(self.manifest.raster)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels, in the order of their numbers."""
        return self.manifest.classes

    def _open(self, name: str) -> ImageSplit:
        raster = self.manifest.raster
        shape = (raster.height, raster.width, raster.channels)
        return ImageSplit(self.folder, name, self.manifest.splits[name], shape)
