"""Pictures that a person gives a model: opened with care, and brought to the model's size by the rule of its training data."""

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from PIL import Image, UnidentifiedImageError

from daedal.codecs.image import PixelCodec
from daedal.codecs.raster import WHITE, Raster, to_image, upright
from daedal.data.images.kinds import FORMATS, content_of
from daedal.data.images.png import readable
from daedal.errors import DaedalError
from daedal.files import regular_size
from daedal.inference.picture import Picture

Array = np.ndarray
Source = Path | str | bytes | Image.Image | Picture | UInt8[Array, "height width channels"]
"""What is taken for a picture: a file, what a file holds, or one in memory."""


@dataclass(frozen=True)
class InputPicture:
    """A picture as the model sees it.

    Attributes:
        name: of its file, where it has one.
        size: width and height that it had.
        note: what was changed to make it fit; empty where nothing was.
    """

    name: str
    pixels: UInt8[Array, "height width channels"]
    size: tuple[int, int]
    note: str

    @property
    def image(self) -> Image.Image:
        return to_image(self.pixels)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the pixels that the model sees."""
        return hashlib.sha256(f"{self.pixels.shape}".encode() + self.pixels.tobytes()).hexdigest()

    def anew(self, mask: Bool[Array, "height width"] | None, strength: float) -> Float32[Array, "height width"]:
        """How much of each pixel is to be drawn anew, from 0 to 1.

        Raises:
            DaedalError: that is nothing, or everything.
        """
        if not 0 < strength <= 1:
            raise DaedalError(f"strength is {strength}", "Choose more than 0, and at most 1")
        if mask is None and strength == 1:
            raise DaedalError("Nothing would be left of the picture", "Give a mask, or a strength under 1")
        if mask is not None and not mask.any():
            raise DaedalError("The mask is black everywhere: nothing is to be drawn", "Make white what is to change")
        if mask is not None and mask.all() and strength == 1:
            raise DaedalError(
                "The mask is white or transparent everywhere: nothing would be left of the picture",
                "Make black what is to stay, or give a strength under 1",
            )
        where = np.ones(self.pixels.shape[:2], dtype=np.float32) if mask is None else mask.astype(np.float32)
        return where * np.float32(strength)


AnyPicture = Source | InputPicture


def fit(source: AnyPicture, codec: PixelCodec) -> InputPicture:
    """A picture, brought to the size and mode of a codec.

    Raises:
        DaedalError: there is no such file, or it is no picture, damaged or huge.
    """
    if isinstance(source, InputPicture):
        return source
    opened = open_picture(source)
    image = upright(opened.image)
    pixels = codec.lay(image)
    mode = to_image(pixels).mode
    changes = []
    if opened.frames > 1:
        changes.append(f"the first of {opened.frames} frames is taken")
    if image.size != (codec.width, codec.height):
        how = "" if image.width * codec.height == image.height * codec.width else f" ({codec.fit})"
        changes.append(f"{image.width}x{image.height} pixels become {codec.width}x{codec.height}{how}")
    if image.mode != mode:
        changes.append(f"{image.mode} becomes {mode}")
    return InputPicture(opened.name, pixels, image.size, f"{opened.name}: {', '.join(changes)}" if changes else "")


def fit_mask(source: Source, codec: PixelCodec, picture: InputPicture) -> Bool[Array, "height width"]:
    """Where a picture is to be drawn anew: where the mask is white, or transparent.

    Raises:
        DaedalError: as `fit`, or the mask has neither the picture's size nor the model's, or is white on a transparent layer:
            that says "anew" of everything, and whoever painted it meant the white.
    """
    opened = open_picture(source)
    image = upright(opened.image)
    if image.size not in (picture.size, (codec.width, codec.height)):
        sizes = f"{image.width}x{image.height} pixels, and {picture.name} is {picture.size[0]}x{picture.size[1]}"
        raise DaedalError(f"The mask is {sizes}", "Draw the mask in the size of the picture")
    values = {"channels": 1, "height": codec.height, "width": codec.width, "background": "#000000"}
    # pad fills up with what is kept; a picture of the model's size is brought to it by any rule
    raster = Raster.parse({**values, "fit": codec.fit}, "mask")
    white = Image.new("RGBA", image.size, WHITE)
    flat = Image.alpha_composite(white, image.convert("RGBA")) if image.has_transparency_data else image
    anew = raster.lay(flat)[:, :, 0] >= 128
    if image.has_transparency_data and anew.all() and _painted(image):
        raise DaedalError(
            "The mask is white on a transparent layer, and both are drawn anew: nothing would be left",
            "Lay it on black, or make transparent only what is to change",
        )
    return anew


def _painted(image: Image.Image) -> bool:
    """Whether a picture is clear in one place and not in another."""
    least, most = cast(tuple[int, int], image.convert("RGBA").getchannel("A").getextrema())
    return least < 128 <= most


class Opened(NamedTuple):
    """A picture as a person gave it; of several `frames` the first."""

    name: str
    image: Image.Image
    frames: int = 1


def open_picture(source: Source) -> Opened:
    """What a person gives as a picture.

    Raises:
        DaedalError: there is no such file, or it is no picture, damaged or huge.
    """
    if isinstance(source, Picture):
        return Opened("the picture", source.image)
    if isinstance(source, Image.Image):
        if 0 in source.size:
            raise DaedalError(f"A picture of {source.width}x{source.height} pixels shows nothing", "Give another")
        return Opened("the picture", source)
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim not in (2, 3) or not source.size:
            raise DaedalError(f"An array of {source.dtype} {source.shape} is no picture", "Give uint8 [h, w, channels]")
        return Opened("the picture", to_image(source if source.ndim == 3 else source[:, :, None]))
    if isinstance(source, bytes):
        return _decode(source, "the picture")
    path = Path(source)
    if not path.exists():
        raise DaedalError(f"{path} is missing", "Check the path of the picture")
    if path.is_dir():
        raise DaedalError(f"{path} is a folder", "Name a picture in it")
    try:
        if regular_size(path) == 0:
            raise DaedalError(f"{path} is empty", "Name another picture")
        return _decode(path.read_bytes(), str(path))
    except OSError as error:
        raise DaedalError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from None


def _decode(data: bytes, name: str) -> Opened:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(readable(data)), formats=FORMATS) as file:
                frames = int(getattr(file, "n_frames", 1))
                file.load()
                return Opened(name, file.copy(), frames)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        reason = str(error).partition(",")[0]
        raise DaedalError(f"{name} is too large ({reason})", "Make it smaller first") from None
    except UnidentifiedImageError:
        raise DaedalError(
            f"{name} is not a picture that can be read: its bytes are {content_of(data)}", "Save it as a PNG"
        ) from None
    except Exception as error:  # on damaged files the decoders raise whatever they stumble over
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DaedalError(f"{name} is damaged or cannot be read ({reason})", "Name another picture") from None
