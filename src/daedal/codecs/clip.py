"""Clips <-> rows of ids: how fast frames follow each other, and then their bytes, two to an id.

Lossless. The first two ids are the frames in a second as a 32-bit float; every other one is two bytes of the frames,
little-endian, in the order frame, row, column, red, green, blue. All clips of a data folder have one size: the codec knows it.
"""

import hashlib
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from jaxtyping import UInt8, UInt16
from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_json, write_json

CLIP_CODEC = "clip_codec.json"
_HEAD = 2  # ids of the rate


class ClipCodec(Config):
    """
    Attributes:
        frames: of each clip.
        height, width: of the frames in pixels; even, so that a frame is whole ids.
    """

    vocab_size: ClassVar[int] = 2**16
    unit: ClassVar[str] = "frame"

    frames: int = Field(ge=2)
    height: int = Field(ge=2, multiple_of=2)
    width: int = Field(ge=2, multiple_of=2)

    @property
    def length(self) -> int:
        """Ids of a clip."""
        return _HEAD + self.frames * self.height * self.width * 3 // 2

    def encode(self, frames: UInt8[np.ndarray, "frames height width 3"], rate: float) -> UInt16[np.ndarray, " ids"]:
        """The ids of a clip.

        Raises:
            DaedalError: it is of another size.
        """
        if frames.shape != (self.frames, self.height, self.width, 3) or frames.dtype != np.uint8:
            raise DaedalError(
                f"A clip of {frames.shape} is none of {(self.frames, self.height, self.width, 3)} bytes",
                "Resample it first",
            )
        head = np.frombuffer(np.float32(rate).astype("<f4").tobytes(), dtype="<u2")
        body = np.frombuffer(np.ascontiguousarray(frames).tobytes(), dtype="<u2")
        return np.concatenate([head, body]).astype(np.uint16)

    def decode(self, ids: np.ndarray) -> tuple[UInt8[np.ndarray, "frames height width 3"], float]:
        """The frames of a row, and how many are shown in a second.

        Raises:
            DaedalError: it is the row of no clip of this size.
        """
        if len(ids) != self.length:
            raise DaedalError(f"A row of {len(ids):,} ids is no clip of {self.length:,}", "Build the data again")
        raw = np.asarray(ids).astype("<u2")
        rate = float(np.frombuffer(raw[:_HEAD].tobytes(), dtype="<f4")[0])
        body = np.frombuffer(raw[_HEAD:].tobytes(), dtype=np.uint8)
        return body.reshape(self.frames, self.height, self.width, 3), rate

    def fingerprint(self) -> str:
        """A hash of what it is."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def save(self, folder: Path) -> None:
        write_json(folder / CLIP_CODEC, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """
        Raises:
            DaedalError: the file is missing or damaged.
        """
        return cls.parse(read_json(folder / CLIP_CODEC), str(folder / CLIP_CODEC))
