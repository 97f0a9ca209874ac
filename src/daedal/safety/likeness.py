"""What something looks or reads like, in a few bytes, so that the ledger finds it again after it was changed a little.

- Pictures: 64 bits, the signs of the lowest frequencies of a small grey copy about their median (the pHash of Zauner, 2010).
  A clip has those of its middle frame, a sound those of its spectrogram.
- Texts: the lowest byte of each of 128 MinHashes of word five-grams (b-bit minwise hashing, Li and König, 2010).

How often strangers look alike so is no matter of coins: docs/provenance.md has it measured.
"""

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

Array = np.ndarray
_SIDE, _LOW = 32, 8
_FLAT = 1e-3
"""Of the range from black to white: what varies less has no likeness."""
NEAR_BITS = 6
"""Bits of 64 that may differ."""
NEAR_WORDS = 0.5
"""Of the 128 hashes, those that must be the same."""
_BARELY = 0.005
"""Of the strongest frequency: what is as little above the median counts as below. Symmetric pictures have many such."""
_BANDS, _BINS, _RATE = 32, 128, 31.25
"""Of a sound's spectrogram: bands, and the frequencies in them, so many hertz apart, whatever the rate of its samples."""


def of_picture(image: Image.Image) -> bytes | None:
    """8 bytes; None where there is nothing to see."""
    grey = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if grey.mode == "RGBA":
        grey = Image.alpha_composite(Image.new("RGBA", grey.size, "white"), grey)
    small = grey.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return _of_grid(np.asarray(small, dtype=np.float64) / 255)


def of_sound(samples: Float[Array, "samples *channels"], rate: int) -> bytes | None:
    """8 bytes, of what is below 4 kHz; None where there is next to nothing to hear."""
    if samples.ndim > 1:
        samples = samples.mean(axis=1)
    size = max(2, round(rate / _RATE))
    frames = len(samples) // size
    if frames < 2:
        return None
    whole = np.asarray(samples[: frames * size], dtype=np.float64).reshape(frames, size)
    power = np.zeros((frames, 1 + _BINS))
    heard = np.abs(np.fft.rfft(whole)[:, : 1 + _BINS]) ** 2
    power[:, : heard.shape[1]] = heard
    if not power.sum() > 0:
        return None
    bands = np.stack([part.sum(axis=1) for part in np.array_split(power[:, 1:], _BANDS, axis=1)])
    decibels = np.clip(10 * np.log10(bands / bands.max() + 1e-12), -60, 0) / 60 + 1
    places = np.linspace(0, frames - 1, _SIDE)
    return _of_grid(np.stack([np.interp(places, np.arange(frames), band) for band in decibels]))


def of_text(text: str) -> bytes | None:
    """128 bytes; None of a text of fewer than ten words."""
    from daedal.data.sketch import sketch

    data = text.encode("utf-8", "replace")
    which, rows = sketch(data, np.array([len(data)], dtype=np.int64))
    return (rows[0] & 0xFF).astype(np.uint8).tobytes() if len(which) else None


def _of_grid(values: Float[Array, "32 32"]) -> bytes | None:
    if np.ptp(values) < _FLAT:
        return None
    low = (_cosines() @ values @ _cosines().T).ravel()
    return np.packbits(low > np.median(low[1:]) + _BARELY * np.abs(low[1:]).max()).tobytes()


@cache
def _cosines() -> Float[Array, "8 32"]:
    """The lowest frequencies of a cosine transform (DCT-II)."""
    waves: Array = np.cos(np.pi / _SIDE * np.outer(np.arange(_LOW), np.arange(_SIDE) + 0.5))
    return waves


def bits_apart(one: bytes, others: UInt8[Array, "several 8"]) -> Array:
    """How many of 64 bits differ from each of several."""
    far: Array = np.bitwise_count(np.frombuffer(one, dtype=np.uint64) ^ others.view(np.uint64)[:, 0]).astype(np.int64)
    return far


def words_shared(one: bytes, others: UInt8[Array, "several 128"]) -> Float[Array, " several"]:
    """The share of hashes that is the same; one in 256 is by chance alone."""
    found: Array = (np.frombuffer(one, dtype=np.uint8) == others).mean(axis=1)
    return found
