"""Clips as a tokenizer of pictures learns them: groups of frames, each a picture with a colour channel for every frame.

The first frame is a group of its own, shown as often as a group has frames, so that a still picture is the first group of a
clip; then follow groups of `stride` frames, the last filled up with its last frame. Next: `daedal.training.clip_tokens`.
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
Pictures = UInt8[Array, "pictures height width channels"]


def groups_of(frames: int, stride: int) -> int:
    """Groups that a clip of so many frames has."""
    return 1 + -(-(frames - 1) // stride)


def group_frames(frames: int, stride: int) -> Int64[Array, "groups stride"]:
    """The frames of each group of a clip."""
    order = 1 + np.arange((groups_of(frames, stride) - 1) * stride).reshape(-1, stride)
    return np.concatenate([np.zeros((1, stride), dtype=np.int64), np.minimum(order, frames - 1)])


def to_groups(clips: Clips, stride: int) -> UInt8[Array, "clips groups height width channels"]:
    """The groups of clips as pictures, frame after frame along their channels."""
    taken = clips[:, group_frames(clips.shape[1], stride)]
    stacked = np.moveaxis(taken, 2, 4)
    return np.ascontiguousarray(stacked.reshape(*stacked.shape[:4], -1))


def to_frames(groups: UInt8[Array, "clips groups height width channels"], frames: int) -> Clips:
    """The frames of groups: what `to_groups` was given."""
    clips, count, height, width, channels = groups.shape
    each = np.moveaxis(groups.reshape(clips, count, height, width, channels // 3, 3), 4, 2)
    rest = each[:, 1:].reshape(clips, -1, height, width, 3)[:, : frames - 1]
    return np.concatenate([each[:, 0, :1], rest], axis=1)


class ClipArray:
    """The frames of a split's clips, memory-mapped: `[clips, frames, height, width, 3]`."""

    def __init__(self, split: ExampleSplit, codec: ClipCodec) -> None:
        rows = split.ragged("clip").ids.reshape(len(split), codec.length)
        self._rows, self._codec = rows, codec

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: slice | Sequence[int] | Int64[Array, " clips"]) -> Clips:
        rows = np.asarray(self._rows[index])
        return np.stack([self._codec.decode(row)[0] for row in rows])


class GroupSplit:
    """A split of groups, as that of a folder of pictures is."""

    def __init__(self, split: ExampleSplit, codec: ClipCodec, stride: int) -> None:
        self.name, self._split, self._stride = split.name, split, stride
        self.clips = ClipArray(split, codec)
        self._groups = group_frames(codec.frames, stride)
        self.labels = np.full(self.count, -1, dtype=np.int64)

    @property
    def count(self) -> int:
        return len(self.clips) * len(self._groups)

    @property
    def fingerprint(self) -> str:
        return self._split.fingerprint

    @property
    def images(self) -> "GroupSplit":
        return self

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: slice | Sequence[int] | Int64[Array, " pictures"]) -> Pictures:
        places = np.arange(self.count)[index]
        clips, groups = np.divmod(places, len(self._groups))
        chosen = self.clips[clips][np.arange(len(places))[:, None], self._groups[groups]]
        return np.ascontiguousarray(np.moveaxis(chosen, 1, 3).reshape(*chosen.shape[:1], *chosen.shape[2:4], -1))


class ClipGroups:
    """A folder of clips, as one of pictures is.

    Args:
        stride: frames of a group.
    """

    classes: tuple[str, ...] = ()

    def __init__(self, dataset: ExampleDataset, stride: int) -> None:
        self.dataset, self.stride = dataset, stride
        self.clip_codec = ClipCodec.load(dataset.folder)

    @property
    def folder(self) -> Path:
        return self.dataset.folder

    @cached_property
    def codec(self) -> PixelCodec:
        return PixelCodec(3 * self.stride, self.clip_codec.height, self.clip_codec.width)

    def split(self, name: str) -> GroupSplit:
        return GroupSplit(self.dataset.split(name), self.clip_codec, self.stride)
