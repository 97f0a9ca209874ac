"""The watermark of a picture: a keyed pattern that repeats every 64 pixels, as strong as what lies there hides.

- spread spectrum (Cox et al. 1997) at low and middle frequencies, which compression and smaller sizes keep: in the brightness,
  and between green and magenta, where a picture has much less of its own; under 96 pixels there alone
- 41 decibels below the picture (PSNR), 38 where a side has less than 384 pixels; more where the picture is rich in detail
- 32 bits and where it begins, by `periodic_mark.py`; its scale is seen from what repeats, by `picture_tiles.py`

It is made after drawing and so marks what any family drew. It is no lock: who knows the method can blur it away at a cost to
the picture. What is found says who made a picture; nothing found says nothing.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from daedal.safety.mark_finding import MarkFinding
from daedal.safety.periodic_mark import PeriodicMark, find
from daedal.safety.picture_tiles import (
    COARSE,
    COLOUR,
    FINE,
    SMALL,
    SMALLEST,
    TILE,
    canonical,
    planes,
    seen,
    strength,
    views,
    whitened,
)
from daedal.safety.watermark_keys import WatermarkKey

Array = np.ndarray
Pixels = UInt8[Array, "height width 3"]
_LARGE = 384
_LARGE_RMS, _RMS, _ALONE = (2.0, 1.0), (2.8, 1.2), 3.0
"""Root mean squares in steps of 256, in the brightness and in the colour: where the shorter side has `_LARGE` pixels (41.2
decibels), where it has not (38.5), and in the colour alone."""
_FLAT, _RICH = 2.0, 12.0  # detail between which the mark grows
_BORDER = 11  # pixels
_MOST_PIXELS = 2**26
_CHECKED = 24
"""Views that are counted for what is checked after marking: about as many as a later search tries."""
_ROWS = 256  # at once
_MODES = ("L", "LA", "RGB", "RGBA", "P", "PA")


def mark_picture(image: Image.Image, key: WatermarkKey, payload: int) -> Image.Image | None:
    """A picture with the mark of a key and 32 bits of payload, in the same mode and as transparent.

    Returns:
        None where it would not be found again: of pictures under 32 pixels, of black and white alone, or with too little room.
    """
    width, height = image.size
    if image.mode not in _MODES or min(image.size) < SMALLEST or width * height > _MOST_PIXELS:
        return None
    whole = image.convert("RGBA" if image.has_transparency_data else "RGB")
    values = np.array(whole)
    grey = image.mode in ("L", "LA")
    values[..., :3] = add_mark(values[..., :3], key, payload, grey)
    made = _as_before(Image.fromarray(values), image)
    return made if readable([on_white(made)], key, payload) else None


def find_picture_mark(image: Image.Image, keys: Sequence[WatermarkKey]) -> MarkFinding | None:
    """Whether a picture, or what is left of it, has the mark of one of the keys; None without keys."""
    if not keys:
        return None
    width, height = image.size
    if min(width, height) < SMALLEST // 2 or width * height > _MOST_PIXELS:
        how = "small" if min(width, height) < SMALLEST else "large"
        return MarkFinding(scheme=COARSE.scheme, key=keys[0].id, p_value=None, note=f"too {how} to be judged")
    return find(views([on_white(image)]), keys)


def add_mark(pixels: Pixels, key: WatermarkKey, payload: int, grey: bool = False) -> Pixels:
    """Pixels with a mark, shaped by what hides it.

    Args:
        grey: whether they must stay grey.
    """
    from scipy.ndimage import minimum_filter, uniform_filter

    factor = canonical(pixels.shape[:2])
    luminance = planes(pixels, factor)[0]
    height, width = luminance.shape
    inside = minimum_filter(strength(luminance)[1], _BORDER)  # a flat ground beside an edge hides nothing
    hides = np.clip(uniform_filter(inside, _BORDER), _FLAT, _RICH)
    mark, colours = _how(min(height, width), grey)
    tiles = np.tile(mark.period(key, payload).astype(np.float32), (-(-height // TILE), -(-width // TILE)))
    added = hides * tiles[:height, :width]
    added /= np.sqrt(np.mean(np.square(added)))
    if factor < 1:
        added = np.asarray(Image.fromarray(added).resize(pixels.shape[1::-1], Image.Resampling.BICUBIC))
    made = _sum(pixels, added, colours)
    if min(height, width) < SMALL:  # what black and white cut off is made up for by the rest
        kept = np.sqrt(np.mean(np.square(made.astype(np.float32) - pixels)))
        made = _sum(pixels, added, colours * float(np.sqrt(np.mean(np.square(colours))) / max(kept, 1)))
    return made


def _sum(pixels: Pixels, added: Float[Array, "height width"], colours: Float[Array, " 3"]) -> Pixels:
    """Pixels with so much of each colour added."""
    made = np.empty_like(pixels)
    for start in range(0, len(pixels), _ROWS):
        rows = slice(start, start + _ROWS)
        made[rows] = np.clip(np.rint(pixels[rows] + added[rows, :, None] * colours), 0, 255)
    return made


def readable(frames: Sequence[Pixels], key: WatermarkKey, payload: int) -> bool:
    """Whether the payload of marked frames can be read, as long as nothing happens to them."""
    factor = canonical(frames[0].shape[:2])
    white = whitened([planes(frame, factor) for frame in frames])
    return find(seen(white, min(white[0].shape)), [key], _CHECKED).payload == payload


def on_white(image: Image.Image) -> Pixels:
    """Pixels as they are seen on white."""
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def _how(short: int, grey: bool) -> tuple[PeriodicMark, Float[Array, " 3"]]:
    """The mark of a picture whose shorter side has so many pixels, and how much of it red, green and blue get."""
    mark = FINE if short < SMALL else COARSE
    bright, coloured = (0.0, _ALONE) if short < SMALL else _LARGE_RMS if short >= _LARGE else _RMS
    if grey:
        bright, coloured = bright or coloured, 0.0
    return mark, (bright + coloured * 2**0.5 * COLOUR).astype(np.float32)


def _as_before(marked: Image.Image, image: Image.Image) -> Image.Image:
    """A marked picture in the mode of the one that it was made from."""
    if image.mode in ("P", "PA"):
        colours = marked.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        return colours if image.mode == "P" else colours.convert("PA")
    return marked.convert(image.mode)
