"""One picture -> its pixels, brought to the size and channels as far as they are known before all pictures were seen."""

import io
import warnings
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8

from daedal.codecs.raster import WHITE, Fit, Raster, to_channels, to_image, to_size, upright
from daedal.config import Config
from daedal.data.images.kinds import FORMATS, content_of
from daedal.data.images.png import readable

if TYPE_CHECKING:
    from PIL.Image import Image

Array = np.ndarray
OWN = 64
"""Pictures all of one size keep it up to so many pixels a side."""
USUAL = 32


class Treatment(Config):
    """What is done with every picture.

    Attributes:
        channels: how many; `None` is 1 for a picture that is grey in every pixel, else 3.
        size: pixels a side; with `None` those up to 64 stay as they are, until all are known.
    """

    channels: Literal[1, 3, 4] | None = None
    size: int | None = None
    fit: Fit = "crop"
    background: str = WHITE

    def raster(self, channels: int, height: int, width: int) -> Raster:
        """The grid of these measures."""
        return Raster.model_construct(
            channels=channels, height=height, width=width, fit=self.fit, background=self.background
        )


class Treated(NamedTuple):
    """A picture that could be read.

    Attributes:
        pixels: of 1, 3 or 4 channels.
        width: of the original, turned upright.
        height: of the original.
        format: as `PNG`, or `pixels`.
        several: whether the file is animated or has pages; only the first picture is taken.
    """

    pixels: UInt8[Array, "height width channels"]
    width: int
    height: int
    format: str
    several: bool = False


class Fault(NamedTuple):
    """Why a picture could not be read."""

    reason: str
    detail: str


def treat(data: bytes | UInt8[Array, "height width channels"], treatment: Treatment) -> Treated | Fault:
    """Read a picture.

    Args:
        data: a file's bytes, or pixels.
        treatment: what is done with it.
    """
    if isinstance(data, np.ndarray):
        height, width, channels = data.shape
        wanted = treatment.channels or (channels if channels in (1, 3) else None)
        if channels == wanted != 4 and _sides(height, width, treatment) == (height, width):
            return Treated(_greyed(data, treatment), width, height, "pixels")
        return _laid(to_image(data), "pixels", False, treatment)
    return _read(data, treatment)


def finish(pixels: UInt8[Array, "height width channels"], raster: Raster) -> UInt8[Array, "height width channels"]:
    """Bring what `treat` gave to the size and channels that are known now; nothing is done where it has them."""
    if pixels.shape == (raster.height, raster.width, raster.channels):
        return pixels
    if pixels.shape[:2] != (raster.height, raster.width):
        raster_now = raster.but(channels=pixels.shape[2])
        pixels = to_size(to_image(pixels), raster_now)
    if pixels.shape[2] == 1 and raster.channels == 3:
        pixels = np.repeat(pixels, 3, axis=2)
    return pixels


def _read(data: bytes, treatment: Treatment) -> Treated | Fault:
    from PIL import Image, UnidentifiedImageError

    if not data:
        return Fault("empty file", "zero bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(readable(data)), formats=FORMATS) as picture:
                several = bool(getattr(picture, "is_animated", False))
                format_ = picture.format or "unknown"
                picture.load()
                return _laid(upright(picture), format_, several, treatment)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        return Fault("bomb", str(error).split(",")[0])
    except UnidentifiedImageError:
        return Fault("broken picture", f"its bytes are {content_of(data)}")
    except MemoryError:
        return Fault("broken picture", "it asks for more memory than there is")
    except Exception as error:  # on damaged files the decoders raise whatever they stumble over
        line = (str(error).splitlines() or [type(error).__name__])[0][:160]
        return Fault("broken picture", line)


def _laid(picture: "Image", format_: str, several: bool, treatment: Treatment) -> Treated:
    width, height = picture.size
    channels = treatment.channels or 3
    picture = to_channels(picture, channels, treatment.background)
    pixels = to_size(picture, treatment.raster(channels, *_sides(height, width, treatment)))
    return Treated(_greyed(pixels, treatment), width, height, format_, several)


def _sides(height: int, width: int, treatment: Treatment) -> tuple[int, int]:
    """Height and width that a picture is brought to as long as not all are known."""
    if treatment.size is not None:
        return treatment.size, treatment.size
    return (height, width) if max(height, width) <= OWN else (USUAL, USUAL)


def _greyed(pixels: Array, treatment: Treatment) -> Array:
    """One channel of a picture that is grey in every pixel, where the number of channels is not set."""
    if treatment.channels is None and pixels.shape[2] == 3 and (pixels == pixels[:, :, :1]).all():
        pixels = pixels[:, :, :1]
    return np.ascontiguousarray(pixels)
