"""A gallery, its classes and its splits -> the files of a data folder."""

import hashlib
import json
from pathlib import Path

import numpy as np
from jaxtyping import Int8, Int64
from numpy.lib.format import open_memmap

from daedal.codecs.raster import Raster
from daedal.data.images.dataset import images_path, labels_path, pictures_path
from daedal.data.images.manifest import ImageSplitRecord
from daedal.data.images.picture_array import Gallery
from daedal.data.options import SPLITS

Array = np.ndarray
_AT_ONCE = 1024


def write_splits(
    folder: Path,
    gallery: Gallery,
    splits: Int8[Array, " pictures"],
    labels: Int64[Array, " pictures"],
    classes: int,
    texts: dict[str, list[str]],
) -> dict[str, ImageSplitRecord]:
    """Write pixels, labels and the table of all splits.

    Args:
        folder: where the files go.
        splits: the split of each picture, -1 for those left out.
        labels: the class of each, -1 for none.
        classes: how many there are.
        texts: name, caption and truth of each picture.
    """
    records = {}
    for number, split in enumerate(SPLITS):
        places = np.flatnonzero(splits == number)
        digest = hashlib.sha256()
        _write_pixels(images_path(folder, split), gallery, places, digest)
        mine = labels[places]
        np.save(labels_path(folder, split), mine, allow_pickle=False)
        digest.update(mine.tobytes())
        captions = [texts["caption"][place] for place in places.tolist()]
        truths = [texts["truth"][place] for place in places.tolist()]
        digest.update(json.dumps([captions, truths]).encode())
        _write_table(pictures_path(folder, split), gallery, places, texts)
        records[split] = ImageSplitRecord(
            pictures=len(places),
            captioned=sum(map(bool, captions)),
            classes=tuple(np.bincount(mine[mine >= 0], minlength=classes).tolist()) if classes else (),
            fingerprint=digest.hexdigest(),
        )
    return records


def fingerprint_of(raster: Raster, classes: tuple[str, ...], records: dict[str, ImageSplitRecord]) -> str:
    """SHA-256 of the raster, the names of classes and all splits."""
    whole = [raster.model_dump(mode="json"), classes, [[name, records[name].fingerprint] for name in SPLITS]]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def _write_pixels(path: Path, gallery: Gallery, places: Array, digest: "hashlib._Hash") -> None:
    shape = (len(places), *gallery.pixels.shape[1:])
    if not len(places):  # nothing can be mapped
        np.save(path, np.zeros(shape, dtype=np.uint8), allow_pickle=False)
        return
    mapped = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for first in range(0, len(places), _AT_ONCE):
        block = gallery.pixels[places[first : first + _AT_ONCE]]
        mapped[first : first + len(block)] = block
        digest.update(block.tobytes())
    mapped.flush()


def _write_table(path: Path, gallery: Gallery, places: Array, texts: dict[str, list[str]]) -> None:
    """A row for each picture: where it is from, what is said of it, what its size was, and its hashes."""
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    hashes = np.ascontiguousarray(gallery.hashes[places])
    table = pa.table(
        {
            **{
                name: pa.array([values[place] for place in places.tolist()], pa.string())
                for name, values in texts.items()
            },
            "width": pa.array(gallery.sizes[places, 0], pa.int32()),
            "height": pa.array(gallery.sizes[places, 1], pa.int32()),
            "blake2b_128": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(16), len(places), [None, pa.py_buffer(hashes.tobytes())]
            ),
            "perceptual_64": pa.array(gallery.perceptual[places], pa.uint64()),
        }
    )
    parquet.write_table(table, path, compression="zstd", write_statistics=False)
