"""Any picture -> a grid of bytes of one size and number of channels, by one rule, and back.

- channels: 1 grey (ITU-R 601 luma), 3 RGB, 4 RGB and opacity; what is transparent is laid on a background before it goes
- size: `crop` scales the shorter side and cuts the middle out, `pad` scales the longer and fills up, `stretch` distorts
- resampling is antialiased: Lanczos down, bicubic up, in the bytes' own (sRGB) scale; a picture of the size is not resampled
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from jaxtyping import UInt8
from pydantic import Field, field_validator

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_json, write_json

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray
Fit = Literal["crop", "pad", "stretch"]
WHITE = "#ffffff"
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
IMAGE_CODEC = "image_codec.json"
_DEEP = ("I", "F")
_ORIENTATION = 0x0112


class Raster(Config):
    """The grid that pictures are brought to."""

    channels: int = Field(ge=1, le=4)
    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    fit: Fit = "crop"
    background: str = WHITE

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, value: str) -> str:
        return colour_name(value)

    def lay(self, picture: "Image") -> UInt8[Array, "height width channels"]:
        """A picture, brought to this grid."""
        return to_size(to_channels(picture, self.channels, self.background), self)

    def save(self, folder: Path) -> None:
        """Write `image_codec.json`."""
        write_json(folder / IMAGE_CODEC, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            DaedalError: it is not there, or damaged.
        """
        values = read_json(folder / IMAGE_CODEC)
        if not isinstance(values, dict):
            raise DaedalError(f"{folder / IMAGE_CODEC} is not the description of pictures", "Build or train it again")
        return cls.parse(values, str(folder / IMAGE_CODEC))


def colour_name(value: str) -> str:
    """A colour's `#rrggbb`, from any way that CSS writes it.

    Raises:
        ValueError: it is no colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(value)[:3]
    except ValueError:
        raise ValueError("not a colour: write white, black or #rrggbb") from None
    return f"#{red:02x}{green:02x}{blue:02x}"


def upright(picture: "Image") -> "Image":
    """A picture turned as its camera says (EXIF), which most programs do when they show it."""
    from PIL import ImageOps

    try:
        turned = picture.getexif().get(_ORIENTATION, 1)
        return ImageOps.exif_transpose(picture) if turned != 1 else picture
    except Exception:  # damaged EXIF is of many kinds, and no reason to lose the picture
        return picture


def has_transparency(picture: "Image") -> bool:
    """Whether its mode can hold transparent pixels."""
    return picture.has_transparency_data


def shallow(picture: "Image") -> "Image":
    """A picture of 8 bits a channel: 16-bit values are divided by 257, floats from 0 to 1 are multiplied by 255."""
    from PIL import Image

    if not picture.mode.startswith(_DEEP):
        return picture
    values = np.asarray(picture, dtype=np.float64)
    clear = picture.info.get("transparency")  # a PNG's grey value that is transparent, in the file's own scale
    cover = np.where(values == clear, 0, 255).astype(np.uint8)
    values = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
    highest = float(values.max(initial=0.0))
    if picture.mode == "F" and highest <= 1.0:
        values = values * 255
    elif picture.mode.startswith("I;16") or highest > 255:
        values = values / 257
    grey = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    return grey if clear is None else Image.merge("LA", (grey, Image.fromarray(cover)))


def to_channels(picture: "Image", channels: int, background: str) -> "Image":
    """A picture of so many channels."""
    from PIL import Image

    picture = shallow(picture)
    if picture.mode == "La":  # grey that was multiplied by its opacity, which Pillow converts to nothing else
        picture = picture.convert("LA")
    if channels in (2, 4):
        return picture if picture.mode == _MODES[channels] else picture.convert("RGBA").convert(_MODES[channels])
    if has_transparency(picture):
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, background)
        picture = Image.alpha_composite(ground, picture).convert("RGB")
    return picture if picture.mode == _MODES[channels] else picture.convert("RGB").convert(_MODES[channels])


def to_size(picture: "Image", raster: Raster) -> UInt8[Array, "height width channels"]:
    """A picture of the right mode, brought to the size of a raster."""
    if picture.size != (raster.width, raster.height):
        picture = _resampled(picture, raster)
    pixels = np.asarray(picture, dtype=np.uint8)
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    if pixels.shape[2] in (2, 4):  # what nobody sees is no colour to learn
        pixels = np.where(pixels[:, :, -1:] == 0, np.uint8(0), pixels)
    return pixels


def _resampled(picture: "Image", raster: Raster) -> "Image":
    from PIL import Image

    across, down = raster.width / picture.width, raster.height / picture.height
    kernel = Image.Resampling.BICUBIC if min(across, down) >= 1 else Image.Resampling.LANCZOS
    size = (raster.width, raster.height)
    if raster.fit == "stretch":
        return picture.resize(size, kernel)
    if raster.fit == "crop":
        scale = max(across, down)
        cut_x = max(0.0, picture.width - raster.width / scale) / 2
        cut_y = max(0.0, picture.height - raster.height / scale) / 2
        box = (cut_x, cut_y, picture.width - cut_x, picture.height - cut_y)
        return picture.resize(size, kernel, box=box)
    scale = min(across, down)
    inner = (
        max(1, min(raster.width, math.floor(picture.width * scale + 0.5))),
        max(1, min(raster.height, math.floor(picture.height * scale + 0.5))),
    )
    clear = raster.background if raster.channels < 4 else (0, 0, 0, 0)
    ground = Image.new(picture.mode, size, clear)
    small = picture if picture.size == inner else picture.resize(inner, kernel)
    ground.paste(small, ((raster.width - inner[0]) // 2, (raster.height - inner[1]) // 2))
    return ground


def to_image(pixels: UInt8[Array, "height width channels"]) -> "Image":
    """The picture of a grid of bytes.

    Raises:
        DaedalError: it has too many channels for a picture.
    """
    from PIL import Image

    if pixels.shape[2] not in _MODES:
        raise DaedalError(f"Pictures have 1 to 4 channels, not {pixels.shape[2]}")
    pixels = np.ascontiguousarray(pixels)
    mode = _MODES[pixels.shape[2]]
    return Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
