"""A picture as one tile: whitened, brought to the size at which a tile has 64 pixels, and all tiles laid on each other.

What a mark must be told from is the picture itself, so that is taken away as far as can be: what changes slowly, and of the
rest its local strength. Which scale a picture was brought to since is seen without any key: what repeats has its power at
multiples of one frequency (a comb), and how far these are apart says how large a tile is now.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from daedal.safety.periodic_mark import PeriodicMark, View

Array = np.ndarray
Plane = Float[Array, "height width"]
TILE = 64
"""Pixels of a side of a tile, in a picture whose shorter side has at most `CANONICAL`; a larger one is marked likewise."""
CANONICAL = 512
SMALLEST = 32
"""Pixels of the shorter side of what is marked."""
SMALL = 96
"""Pixels of the shorter side under which all of the mark is in the colours."""
_MOST = 768  # pixels of the shorter side that are looked at
_MOST_AREA = 2**21
_PERIODS = (30.0, 165.0)  # pixels of a tile that are searched for
_USUAL = (32, 48, 64, 72, 96, 128, 160, 192, 224, 256, 320, 384, 480, 512)
"""Sides that pictures are made with: what has been made larger or smaller as a whole had one of these."""
_TIMES = (2, 3, 4, 5, 6, 8)
"""By how much small ones are enlarged to be seen."""
_FINE = 9  # pixels around which slow changes are taken away
_AROUND = 15  # pixels around that say how strong the picture is
_FLOOR = 1.0
_ENLARGED = 0.7
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Of red, green and blue (ITU-R BT.601)."""
COLOUR = np.array([-0.5, 1, -0.5], dtype=np.float32)
"""From magenta to green: what changes least in pictures, and what JPEG keeps best of colour."""


def _mark(scheme: str, low: float, high: float) -> PeriodicMark:
    across, down = np.meshgrid(np.arange(TILE // 2), np.arange(-TILE // 2 + 1, TILE // 2))
    radius = np.hypot(across, down)
    inside = (radius >= low) & (radius <= high) & ((across > 0) | (down > 0))
    harmonics = np.stack([down[inside] % TILE, across[inside]])
    return PeriodicMark(scheme, scheme, (TILE, TILE), harmonics, (16, 16), 0.28)


COARSE = _mark("spread-picture/1", 3.5, 13.5)
"""Cycles in a tile: fewer are the picture's own, more are lost where it is made smaller or compressed."""
FINE = _mark("spread-small-picture/1", 3.5, 22.5)
"""For little room, with more to lose."""


def planes(pixels: UInt8[Array, "height width 3"], factor: float = 1.0) -> list[Plane]:
    """Brightness, and where there is any, the colour that is marked; at another scale."""
    whole = int(1 / factor)
    if whole > 1:
        pixels = np.asarray(Image.fromarray(pixels).reduce(whole))
    factor *= max(1, whole)
    brightness = pixels @ LUMINANCE
    grey = np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 1], pixels[..., 2])
    return [scaled(plane, factor) for plane in ([brightness] if grey else [brightness, pixels @ COLOUR])]


def scaled(plane: Plane, factor: float) -> Plane:
    """A plane at another scale, exactly: a rest of less than a pixel is left out."""
    if factor == 1:
        return plane
    height, width = plane.shape
    size = max(1, int(width * factor)), max(1, int(height * factor))
    box = 0.0, 0.0, min(width, size[0] / factor), min(height, size[1] / factor)
    return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC, box))


def canonical(shape: tuple[int, ...]) -> float:
    """The scale at which a picture is marked."""
    return min(1.0, CANONICAL / min(shape))


def strength(plane: Plane) -> tuple[Plane, Plane]:
    """What changes fast, and its root mean square around each pixel."""
    from scipy.ndimage import uniform_filter

    fast = plane - uniform_filter(uniform_filter(plane, _FINE), _FINE)
    return fast, np.sqrt(np.maximum(uniform_filter(np.square(fast), _AROUND), 0))


def whitened(frames: Sequence[Sequence[Plane]], factor: float = 1.0) -> list[Plane]:
    """What changes fast in frames at another scale, as strong everywhere, and all frames laid on each other: a plane of
    brightness, and one of colour where there is any."""
    sums: list[Plane] = []
    for number in range(max(map(len, frames))):
        summed: Plane = np.zeros(1, dtype=np.float32)
        for frame in frames:
            if number < len(frame):
                fast, around = strength(scaled(frame[number], factor))
                summed = summed + fast / (around + _FLOOR)
        sums.append(summed)
    return sums


def folded(plane: Plane) -> Plane:
    """All tiles laid on each other."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % TILE), (0, -width % TILE)))
    tile: Array = padded.reshape(-(-height // TILE), TILE, -(-width // TILE), TILE).sum((0, 2))
    return tile


def _view(mark: PeriodicMark, tile: Plane) -> View:
    """The harmonics of a tile at about the same size: each ring of the spectrum is brought to one, and the few that stick out
    are cut, so that nothing but their phases tells much."""
    harmonics = mark.analysis(tile)
    down, across = mark.harmonics
    rings = np.rint(np.hypot((down + TILE // 2) % TILE - TILE // 2, across)).astype(int)
    power = np.bincount(rings, np.square(np.abs(harmonics))) / np.maximum(np.bincount(rings), 1)
    even = harmonics / np.sqrt(power[rings] + 1e-12)
    return mark, even / np.maximum(1, np.abs(even) / 2)


def views(frames: Sequence[UInt8[Array, "height width 3"]]) -> list[View]:
    """Frames of one size with every mark at each scale that they may have."""
    height, width = frames[0].shape[:2]
    first = min(1.0, _MOST / min(height, width), (_MOST_AREA / (height * width)) ** 0.5)
    shown = [planes(frame, first) for frame in frames]
    white = whitened(shown)
    short = min(white[0].shape)
    found = seen(white, short)
    for factor in _factors(short, white):
        # Of what was enlarged much, other things change fast
        again = whitened(shown, factor) if factor < _ENLARGED else [scaled(plane, factor) for plane in white]
        found += seen(again, short * factor)
    return found


def seen(white: Sequence[Plane], short: float) -> list[View]:
    """What was whitened with the marks that it may have: in the brightness, in the colour, and in both together."""
    tiles = [folded(plane) for plane in white]
    found = [_view(COARSE, tile) for tile in tiles]
    if len(found) == 2:
        found.append((COARSE, found[0][1] + found[1][1]))
    return found + ([_view(FINE, tile) for tile in tiles] if short < SMALL else [])


def _factors(short: int, white: Sequence[Plane]) -> list[float]:
    """Scales at which the tile may have its size, but 1: of the clearest combs, and of usual sizes."""
    usual = (
        [side / short for side in _USUAL if 1 / 8 <= side / short <= 2] if short < CANONICAL else [CANONICAL / short]
    )
    usual += [1 / times for times in _TIMES if SMALLEST <= short / times < SMALL]
    found = [TILE / period for period in combs(white)] + usual
    return [factor for factor in dict.fromkeys(found) if abs(factor - 1) > 1e-3]


def combs(white: Sequence[Plane], most: int = 3) -> list[float]:
    """The periods in pixels at whose multiples there is the most power."""
    from scipy import fft
    from scipy.ndimage import uniform_filter

    height, width = white[0].shape
    longest = min(_PERIODS[1], min(height, width) / 2)  # of what does not repeat there is no comb
    if longest <= _PERIODS[0]:
        return []
    size = fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True)
    window = (np.hanning(height)[:, None] * np.hanning(width)).astype(np.float32)
    power: Array = np.zeros(1, dtype=np.float32)
    for plane in white:
        own = np.square(np.abs(fft.rfft2(plane * window, size)))
        power = power + np.minimum(own / (uniform_filter(own, 15, mode="wrap") + 1e-12), 8)
    step = 0.4 * _PERIODS[0] / (COARSE.harmonics[1].max() * max(height, width))
    periods = np.exp(np.arange(np.log(_PERIODS[0]), np.log(longest), step))
    rows, columns = (COARSE.harmonics[0] + TILE // 2) % TILE - TILE // 2, COARSE.harmonics[1]
    scores = np.empty(len(periods))
    for number, period in enumerate(periods):
        down = np.rint(rows * size[0] / period).astype(int) % size[0]
        across = np.rint(columns * size[1] / period).astype(int)
        inside = across < power.shape[1]
        scores[number] = power[down[inside], across[inside]].mean()
    best: list[float] = []
    for number in np.argsort(-scores):
        if all(abs(np.log(periods[number] / other)) > 0.01 for other in best):
            best.append(float(periods[number]))
        if len(best) == most:
            break
    return best
