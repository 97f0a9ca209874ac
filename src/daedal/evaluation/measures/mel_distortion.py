"""How far two recordings are apart as they are heard: mel-cepstral distortion (Kubichek 1993) along the best alignment in time.

- cepstra: the cosine transform of the log-mel bands of a frame, of which the first thirteen but the constant are kept: the
  shape of the spectrum, without its loudness and its finest detail
- two frames are apart by the root mean square, over the bands, of what their smoothed spectra differ by, in decibels
- recordings are aligned by Sakoe and Chiba's symmetric warping (1978, P = 0): no alignment is counted by its length, so that
  stretching a recording costs nothing, and the distance is a mean over both
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

Array = np.ndarray
COEFFICIENTS = 13
_DECIBELS = 20 / np.log(10)


def cepstra(frames: Float[Array, "frames bands"]) -> Float[Array, "frames coefficients"]:
    """The mel cepstra of natural log-mel frames, scaled so that the distance of two rows is in decibels."""
    made: Array = frames @ _cosines(frames.shape[1])
    return made


@lru_cache(maxsize=4)
def _cosines(bands: int) -> Float[Array, "bands coefficients"]:
    """The orthonormal cosine transform (DCT-II) without its constant, in decibels over the root of the bands."""
    places = np.pi * (np.arange(bands) + 0.5) / bands
    cosines: Array = np.cos(places[:, None] * np.arange(1, min(COEFFICIENTS, bands - 1) + 1))
    scaled: Array = (cosines * np.sqrt(2 / bands) * (_DECIBELS / np.sqrt(bands))).astype(np.float32)
    return scaled


def distortions(
    one: Float[Array, "frames coefficients"], others: Sequence[Float[Array, "_ coefficients"]]
) -> Float[Array, " others"]:
    """The mel-cepstral distortion of a recording and each of several, in decibels; none has no frames.

    With $d_{ij}$ the distance of two frames, $D_{ij} = \\min(D_{i-1,j} + d_{ij}, D_{i,j-1} + d_{ij}, D_{i-1,j-1} + 2 d_{ij})$,
    and the distortion is $D_{IJ} / (I + J)$.
    """
    lengths = np.array([len(each) for each in others])
    padded = np.stack([np.pad(each, ((0, lengths.max() - len(each)), (0, 0))) for each in others])
    apart = np.sqrt(np.square(one[:, None, None] - padded).sum(-1, dtype=np.float64))  # frames, others, their frames
    row = np.concatenate([2 * apart[0, :, :1], apart[0, :, 1:]], axis=1).cumsum(1)
    for now in apart[1:]:
        # The best way from the row before; along the row the way goes on by a running minimum
        best = row + now
        best[:, 1:] = np.minimum(best[:, 1:], row[:, :-1] + 2 * now[:, 1:])
        along = now.cumsum(1)
        row = np.minimum.accumulate(best - along, axis=1) + along
    found: Array = row[np.arange(len(others)), lengths - 1] / (len(one) + lengths)
    return found


def evenly(one: Float[Array, "frames coefficients"], moments: int) -> Float[Array, " values"]:
    """A recording as so many moments, evenly over its length: the Euclidean distance of two is the root mean square over the
    moments of what they are apart, in decibels, whatever their lengths."""
    places = np.linspace(0, len(one) - 1, moments)
    before = np.minimum(places.astype(int), max(0, len(one) - 2))
    share = (places - before)[:, None]
    behind = np.minimum(before + 1, len(one) - 1)
    made: Array = (one[before] * (1 - share) + one[behind] * share) / np.sqrt(moments)
    return made.ravel()
