"""Clips as their tokenizer learns them: pictures with a channel for each colour of each frame, first those of the first frame.

So what learns pictures learns clips: streams, plans and trials are the same. Next: `daedal.training.clip_tokens`.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from daedal.codecs.clip import ClipCodec
from daedal.codecs.image import PixelCodec
from daedal.data.examples import ExampleDataset, ExampleSplit

Array = np.ndarray
Clips = UInt8[Array, "clips frames height width 3"]
Pictures = UInt8[Array, "clips height width frames*3"]


def to_pictures(clips: Clips) -> Pictures:
    """Frame after frame along the channels."""
    return np.ascontiguousarray(np.moveaxis(clips, 1, 3)).reshape(len(clips), *clips.shape[2:4], -1)


def to_frames(pictures: Pictures) -> Clips:
    """What `to_pictures` was given."""
    return np.moveaxis(pictures.reshape(*pictures.shape[:3], pictures.shape[3] // 3, 3), 3, 1)


class ClipArray:
    """The clips of a split, memory-mapped, as pictures."""

    def __init__(self, split: ExampleSplit, codec: ClipCodec) -> None:
        self._rows, self._codec = split.ragged("clip").ids.reshape(len(split), codec.length), codec

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: slice | Sequence[int] | Int64[Array, " clips"]) -> Pictures:
        codec = self._codec
        shown = [codec.decode(row)[0] for row in np.asarray(self._rows[index])]
        return to_pictures(
            np.stack(shown) if shown else np.zeros((0, codec.frames, codec.height, codec.width, 3), np.uint8)
        )


class ClipSplit:
    """A split of clips, as that of a folder of pictures is."""

    def __init__(self, split: ExampleSplit, codec: ClipCodec) -> None:
        self.name, self.examples = split.name, split
        self.images = ClipArray(split, codec)
        self.labels = np.full(self.count, -1, dtype=np.int64)

    @property
    def count(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        return self.examples.fingerprint


class ClipPictures:
    """A folder of clips, as one of pictures is."""

    classes: tuple[str, ...] = ()

    def __init__(self, dataset: ExampleDataset) -> None:
        self.dataset = dataset
        self.clip_codec = ClipCodec.load(dataset.folder)

    @property
    def folder(self) -> Path:
        return self.dataset.folder

    @cached_property
    def codec(self) -> PixelCodec:
        return pixels_of(self.clip_codec)

    def split(self, name: str) -> ClipSplit:
        return ClipSplit(self.dataset.split(name), self.clip_codec)


def pixels_of(codec: ClipCodec) -> PixelCodec:
    """The codec of clips as pictures."""
    return PixelCodec(3 * codec.frames, codec.height, codec.width)
