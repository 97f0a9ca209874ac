"""Sounds as pictures of one channel: a row for each band of log-mel frames, a column for each frame, a byte for each value.

So families that learn pictures learn short sounds as they are (`daedal.training.sound_pictures`): black is silence, and the
sound of a picture is made by Griffin and Lim's algorithm.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, UInt8
from pydantic import Field

from daedal.codecs.image import PixelCodec
from daedal.codecs.mel import MelCodec
from daedal.codecs.sound import HIGHEST, LOWEST
from daedal.config import Config
from daedal.files import read_json, write_json

Array = np.ndarray
MEL_PICTURES = "mel_pictures.json"
_LOUDEST = 3.0  # of log-mel values: white


class _Record(Config):
    rate: int = Field(ge=LOWEST, le=HIGHEST)
    width: int = Field(ge=1, le=2**12)


@dataclass(frozen=True)
class MelPictures(PixelCodec):
    """Sounds <-> pictures of one size.

    Attributes:
        rate: samples in a second.
    """

    rate: int = 8000

    @classmethod
    def of_sounds(cls, rate: int, frames: int) -> Self:
        """Those of sounds of so many frames at most."""
        return cls(1, MelCodec.for_rate(rate).bands, frames, rate=rate)

    @property
    def mel(self) -> MelCodec:
        """What makes frames."""
        return MelCodec.for_rate(self.rate)

    def picture(self, samples: Float[Array, " samples"]) -> UInt8[Array, "height width 1"]:
        """The picture of a sound, silence behind its end; what does not fit is cut off."""
        mel = self.mel
        frames = mel.encode(torch.from_numpy(samples))[: self.width].numpy()
        bytes_ = np.rint(255 * (frames - mel.silence) / (_LOUDEST - mel.silence)).clip(0, 255).astype(np.uint8)
        return np.pad(bytes_, ((0, self.width - len(frames)), (0, 0))).T[::-1, :, None]

    def sound(self, picture: UInt8[Array, "height width 1"]) -> Float[Array, " samples"]:
        """The sound of a picture, without the silence behind it."""
        mel = self.mel
        bytes_ = picture[::-1, :, 0].T.astype(np.float32)
        loud = np.flatnonzero(bytes_.max(1) > 255 / (_LOUDEST - mel.silence))
        kept = bytes_[: max(2, int(loud[-1]) + 2)] if len(loud) else bytes_[:2]
        frames = torch.from_numpy(kept / 255 * (_LOUDEST - mel.silence) + mel.silence)
        made: Array = mel.decode(frames).clamp(-1, 1).numpy()
        return made

    def save(self, folder: Path) -> None:
        write_json(folder / MEL_PICTURES, {"rate": self.rate, "width": self.width})

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        path = Path(folder) / MEL_PICTURES
        values = read_json(path)
        record = _Record.parse(values if isinstance(values, dict) else {}, str(path))
        return cls.of_sounds(record.rate, record.width)
