"""Pixels and numbers from -1 to 1: the codec of models that draw pictures directly.

A byte v becomes v / 127.5 - 1, and comes back exactly. A picture of another size or mode is first brought to the codec's own by
the rule of `raster.py`, the same for training data and for pictures that a person gives a model later.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from daedal.codecs.raster import WHITE, Fit, Raster, to_image, upright
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray
_HALF = 127.5


@dataclass(frozen=True)
class PixelCodec:
    """Pictures of one size to tensors and back.

    Attributes:
        fit: how a picture of another aspect is brought to the size: see `Raster`.
        background: what transparent pixels are laid on, unless there are 4 channels.
    """

    channels: int
    height: int
    width: int
    fit: Fit = "crop"
    background: str = WHITE

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    @cached_property
    def raster(self) -> Raster:
        """The rule by which pictures are brought to the size."""
        values = {"channels": self.channels, "height": self.height, "width": self.width}
        return Raster.parse({**values, "fit": self.fit, "background": self.background}, "image codec")

    @classmethod
    def of(cls, raster: Raster) -> Self:
        """The codec of pictures on a raster."""
        return cls(**raster.model_dump())

    def lay(self, picture: "Image | UInt8[Array, 'height width channels']") -> UInt8[Array, "height width channels"]:
        """A picture as the bytes that the codec encodes: turned upright, converted and scaled where need be.

        Raises:
            DaedalError: an array is not of the codec's shape.
        """
        if not isinstance(picture, np.ndarray):
            return self.raster.lay(upright(picture))
        if picture.dtype != np.uint8 or picture.shape != (self.height, self.width, self.channels):
            raise DaedalError(
                f"An array of {picture.dtype} {picture.shape} is no picture of this codec",
                f"Give uint8 {(self.height, self.width, self.channels)}",
            )
        return picture

    def encode(
        self, picture: "Image | UInt8[Array, 'height width channels']"
    ) -> Float[Tensor, "channels height width"]:
        """The numbers of a picture."""
        return self.encode_batch(self.lay(picture)[None])[0]

    def decode(self, codes: Float[Tensor, "channels height width"]) -> "Image":
        """The picture of numbers; those beyond -1 and 1 are cut off."""
        return to_image(self.decode_batch(codes[None])[0])

    def encode_batch(
        self, pixels: UInt8[Array, "batch height width channels"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The numbers of a batch of pictures on the codec's raster."""
        planes = torch.from_numpy(np.array(pixels.transpose(0, 3, 1, 2), order="C"))
        return planes.to(torch.float32).div_(_HALF).sub_(1)

    def decode_batch(
        self, codes: Float[Tensor, "batch channels height width"]
    ) -> UInt8[Array, "batch height width channels"]:
        """The bytes of a batch."""
        values = codes.detach().to("cpu", torch.float32).add(1).mul_(_HALF).round_().clamp_(0, 255)
        return np.ascontiguousarray(values.nan_to_num_().to(torch.uint8).permute(0, 2, 3, 1).numpy())

    def fingerprint(self) -> str:
        """SHA-256 of what it does."""
        return hashlib.sha256(f"pixels {self.raster.model_dump_json()}".encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write `image_codec.json`."""
        self.raster.save(folder)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DaedalError: it is not there, or damaged.
        """
        return cls.of(Raster.load(Path(folder)))
