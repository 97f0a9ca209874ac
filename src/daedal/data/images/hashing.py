"""What a picture looks like in few numbers, to find its near copies by.

- the perceptual hash: of the 8 x 8 lowest frequencies of its brightness (DCT), which are above their median: 64 bits
- its outline: the lowest of these frequencies and the mean colours themselves, in an orthonormal basis, scaled so that the
  distance of two outlines is never more than the root mean square difference of their pixels. So pictures whose pixels are
  near have outlines that are near, and none is missed, as it would be where bits are compared that flip near the median.
"""

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt64

Array = np.ndarray
_BITS = 8
_KEPT = 4
# Grey and two colour differences: an orthonormal turn of red, green and blue.
_TURN = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


def describe(
    pixels: UInt8[Array, "pictures height width channels"],
) -> tuple[UInt64[Array, " pictures"], Float32[Array, "pictures features"]]:
    """The perceptual hash and the outline of each picture."""
    planes = pixels.astype(np.float64)
    if planes.shape[3] >= 3:
        turned = planes[..., :3] @ _TURN.T
        planes = np.concatenate([turned, planes[..., 3:]], axis=3)
    height, width = planes.shape[1:3]
    down, across = _cosines(height, min(_BITS, height)), _cosines(width, min(_BITS, width))
    waves = np.einsum("kh,nhw,lw->nkl", down, planes[..., 0], across, optimize=True)
    waves = waves.round(3)  # a flat picture has zeros then, and no bits of rounding errors
    bits = np.zeros((len(planes), _BITS, _BITS), dtype=bool)
    bits[:, : waves.shape[1], : waves.shape[2]] = (
        waves > np.median(waves.reshape(len(planes), -1), axis=1)[:, None, None]
    )
    hashes = np.packbits(bits.reshape(len(planes), -1), axis=1).view(">u8").astype(np.uint64).reshape(-1)
    scale = 1 / np.sqrt(height * width * planes.shape[3])
    means = planes[..., 1:].mean(axis=(1, 2)) * np.sqrt(height * width)
    outlines = np.concatenate([waves[:, :_KEPT, :_KEPT].reshape(len(planes), -1), means], axis=1) * scale
    return hashes, outlines.astype(np.float32)


def _cosines(size: int, count: int) -> Float64[Array, "count size"]:
    """The first `count` rows of the orthonormal DCT-II."""
    rows = np.cos(np.pi / size * np.outer(np.arange(count), np.arange(size) + 0.5)) * np.sqrt(2 / size)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows)
