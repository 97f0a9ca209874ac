"""What a model is measured against: a split of its own data, of another data folder, or a folder of pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from daedal.codecs.caption import tidy
from daedal.codecs.image import PixelCodec
from daedal.data.examples import ExampleDataset
from daedal.data.images.dataset import ImageDataset
from daedal.data.shards import Dataset
from daedal.data.worlds.scenes import Scene
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import NotMeasurable
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.source import Source

LEAST = 50
"""A test split with fewer pictures is passed over for the validation split."""
_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"}


@dataclass(frozen=True)
class Reference:
    """The pictures to measure against.

    Attributes:
        name: of the split or the folder.
        train_data: what the model learned from, where it is at hand.
        captions: of the pictures; empty where they have none.
    """

    name: str
    pictures: UInt8[np.ndarray, "n height width channels"]
    labels: Int[np.ndarray, " n"]
    fingerprint: str
    train_data: ImageDataset | None
    captions: tuple[str, ...] = ()

    def some(self, count: int) -> "Reference":
        """At most so many of them, evenly from first to last."""
        kept = spread(len(self.pictures), count)
        said = tuple(self.captions[place] for place in kept) if self.captions else ()
        return replace(self, pictures=np.asarray(self.pictures[kept]), labels=self.labels[kept], captions=said)

    @property
    def train_pictures(self) -> UInt8[np.ndarray, "n height width channels"] | None:
        return None if self.train_data is None else self.train_data.split("train").images

    def told(self, count: int) -> tuple[str, ...]:
        """So many captions, in turn where there are fewer; none unless each says something."""
        known = tuple(caption for caption in self.captions if tidy(caption))
        return tuple(islice(cycle(known), count)) if known else ()

    @property
    def scenes(self) -> bool:
        """Whether they are scenes, which a judge can read."""
        return self.train_data is not None and of_scenes(self.train_data)

    def learned_scenes(self) -> Iterator[Scene]:
        """What the pictures that the model learned from show, where they are scenes."""
        truths = () if self.train_data is None else self.train_data.split("train").truths
        return (Scene.model_validate_json(truth) for truth in truths if truth)


def held_out(dataset: ImageDataset) -> str:
    """The split to measure on.

    Raises:
        NotMeasurable: there are too few pictures in each.
    """
    names = ("test", "validation")
    name = next((name for name in names if dataset.manifest.splits[name].pictures >= LEAST), "")
    if not name:
        counts = " and ".join(f"{dataset.manifest.splits[name].pictures} {name}" for name in names)
        raise NotMeasurable(
            f"{dataset.folder} has {counts} pictures, and measuring needs {LEAST} of one at least",
            "Build the data with a larger share for it, as in --split 80 10 10",
        )
    return name


def of_scenes(data: ImageDataset) -> bool:
    """Whether pictures are scenes, which a judge can read."""
    if data.codec.channels != 3 or not 32 <= data.codec.height == data.codec.width <= 128:
        return False
    truths = data.split("train").truths
    return bool(truths) and all(truths[:8])


def open_reference(source: Source, codec: PixelCodec) -> Reference:
    """The pictures of `source`, brought to the codec's size where they are files.

    Raises:
        DaedalError: they are none, or of another size.
    """
    data, learned = source.data, source.learned
    train = learned if isinstance(learned, ImageDataset) else None
    if isinstance(data, Dataset | ExampleDataset):
        raise DaedalError(
            f"A model of pictures is measured on pictures, and {data.folder} holds {data.kind_name}", "Name other data"
        )
    return of_data(data, codec, train) if isinstance(data, ImageDataset) else _of_files(Path(data), codec, train)


def of_data(dataset: ImageDataset, codec: PixelCodec, train: ImageDataset | None) -> Reference:
    """The held-out split of a data folder.

    Args:
        train: what the model learned from, where that is at hand.

    Raises:
        DaedalError: its pictures are of another size, or too few are held out.
    """
    if dataset.codec.shape != codec.shape:
        raise DaedalError(
            f"The pictures of {dataset.folder} are {dataset.codec.shape} and the model's {codec.shape} (channels, height, "
            "width)",
            "Build the data at the model's size",
        )
    name = held_out(dataset)
    split = dataset.split(name)
    return Reference(name, split.images, split.labels, split.fingerprint, train, tuple(split.captions))


def _of_files(path: Path, codec: PixelCodec, learned: ImageDataset | None) -> Reference:
    import hashlib
    import io

    from PIL import Image

    from daedal.data.images.kinds import FORMATS
    from daedal.data.images.png import readable

    if not path.is_dir():
        raise DaedalError(f"There is no folder at {path}", "Name a data folder or a folder of pictures")
    files = sorted(each for each in path.rglob("*") if each.suffix.lower() in _ENDINGS)
    if len(files) < LEAST:
        raise DaedalError(f"{path} holds {len(files)} pictures, and measuring needs {LEAST}", "Add some")
    pictures = []
    for each in files:
        try:
            with Image.open(io.BytesIO(readable(each.read_bytes())), formats=FORMATS) as image:
                pictures.append(codec.lay(image))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DaedalError(f"{each} is not a picture that can be read ({error})", "Remove or repair it") from None
    stacked = np.stack(pictures)
    fingerprint = hashlib.sha256(stacked.tobytes()).hexdigest()
    return Reference(_plain(path.resolve().name), stacked, np.full(len(stacked), -1), fingerprint, learned)


def _plain(name: str) -> str:
    """A name as a definition can hold it."""
    kept = "".join(c if c.isalnum() or c in "-._" else "-" for c in name)
    return kept or "pictures"
