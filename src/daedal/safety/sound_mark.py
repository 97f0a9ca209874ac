"""The watermark of a sound: a keyed noise that repeats every second, in each band as much quieter as the sound there hides.

- spread spectrum (Boney et al. 1996) from 300 to 7,000 Hz, as far as the rate goes
- 18 decibels below the sound's own level (15 where it is short), which is taken over the width of a critical band (Zwicker &
  Terhardt 1980) in windows of 32 ms; where there is nothing to hide in nothing is added
- 32 bits and where the second begins, by `periodic_mark.py`; its period is a second whatever the rate is

What is played faster or slower, or said again by another voice, has no mark any more.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Complex, Float

from daedal.safety.mark_finding import MarkFinding
from daedal.safety.periodic_mark import PeriodicMark, View, find
from daedal.safety.watermark_keys import WatermarkKey

Array = np.ndarray
LOWEST_RATE, HIGHEST_RATE = 8000, 192_000
"""Samples a second of what can be marked."""
_PLACES = 2**14  # in a second
_FROM, _NARROW, _WIDE = 300, 3700, 7000  # Hz
_USED = 0.46  # of the rate: more is lost where it is changed
_BELOW = (18.0, 15.0)
"""Decibels of the mark below the sound in each band, and below a sound that is too short for that."""
_WINDOW = 0.016  # seconds, half of a window
_QUIET = 3e-5
"""90 decibels under full scale there is nothing to hide in."""
_PART = 20  # seconds that are looked at alone, where there are more
_LONGEST = 1200  # seconds that are marked, and that are looked at
_ROWS = 256  # windows at once
_CHECKED = 2


def _mark(scheme: str, to: int) -> PeriodicMark:
    return PeriodicMark(scheme, "sound", (_PLACES,), np.arange(_FROM, to)[None], (2048,), 0.34)


NARROW, WIDE = _mark("spread-sound-narrow/1", _NARROW), _mark("spread-sound/1", _WIDE)
"""What a rate of 8,000 has room for, and what one of 16,000 has: the first is the lower part of the second."""


def mark_sound(
    samples: Float[Array, "samples *channels"], rate: int, key: WatermarkKey, payload: int
) -> Float[Array, "samples *channels"] | None:
    """Samples from -1 to 1 with the mark of a key and 32 bits of payload, the same in every channel.

    Returns:
        None where it would not be found again: what is shorter than a second or two, or mostly silent; and of more than 20
        minutes.
    """
    if not _fits(samples, rate):
        return None
    columns = np.asarray(samples, dtype=np.float32).reshape(len(samples), -1)
    noise = _second(_widest(rate), rate, key, payload)
    marks = np.stack([_hidden(column, noise, rate) for column in columns.T], axis=1)
    for below in _BELOW:
        made = np.clip(columns + 10 ** (-below / 20) * marks, -1, 1).astype(np.float32)
        if find(_views(made, rate), [key], _CHECKED).payload == payload:
            return made.reshape(samples.shape)
    return None


def find_sound_mark(
    samples: Float[Array, "samples *channels"], rate: int, keys: Sequence[WatermarkKey]
) -> MarkFinding | None:
    """Whether a sound, or a part of it, has the mark of one of the keys; None without keys."""
    if not keys:
        return None
    samples = samples[: int(rate * _LONGEST)]
    if not _fits(samples, rate):
        return MarkFinding(scheme=WIDE.scheme, key=keys[0].id, p_value=None, note="too short to be judged, or no sound")
    return find(_views(samples, rate), keys)


def _fits(samples: Array, rate: int) -> bool:
    """Whether it is a sound that can be looked at."""
    whole = samples.ndim in (1, 2) and samples.size > 0 and LOWEST_RATE <= rate <= HIGHEST_RATE and rate == int(rate)
    return whole and rate / 4 <= len(samples) <= rate * _LONGEST and bool(np.isfinite(samples).all())


def _widest(rate: int) -> PeriodicMark:
    """The mark for which a rate has room."""
    return WIDE if rate * _USED >= _WIDE else NARROW


def _views(samples: Float[Array, "samples *channels"], rate: int) -> list[View]:
    mono = np.asarray(samples, dtype=np.float32).reshape(len(samples), -1).mean(axis=1)
    white = np.concatenate(list(_white(mono, rate)))[: len(mono)]
    parts = [white]
    if len(white) > 2 * _PART * rate:
        parts += [white[start : start + _PART * rate] for start in range(0, len(white), _PART * rate)]
    marks = [NARROW, WIDE] if _widest(rate) is WIDE else [NARROW]
    return [(mark, _harmonics(mark, part, rate)) for part in parts for mark in marks]


def _harmonics(mark: PeriodicMark, white: Float[Array, " samples"], rate: int) -> Complex[Array, " harmonics"]:
    """Those of all seconds laid on each other, brought to about the same size."""
    from scipy.ndimage import uniform_filter1d

    seconds = np.pad(white, (0, -len(white) % rate)).reshape(-1, rate).sum(axis=0)
    harmonics = np.fft.rfft(seconds)[mark.harmonics[0]]
    even = harmonics / np.sqrt(uniform_filter1d(np.square(np.abs(harmonics)), 101) + 1e-12)
    made: Array = even / np.maximum(1, np.abs(even) / 2)
    return made


# -- windows -----------------------------------------------------------------------------------------------------------


def _second(mark: PeriodicMark, rate: int, key: WatermarkKey, payload: int) -> Float[Array, " second"]:
    """A second of the mark, with a power of 1 in each hertz."""
    spectrum = np.zeros(rate // 2 + 1, dtype=complex)
    spectrum[mark.harmonics[0]] = mark.spectrum(key, payload) * (rate / 2)
    return np.fft.irfft(spectrum, rate).astype(np.float32)


def _hidden(samples: Float[Array, " samples"], noise: Float[Array, " second"], rate: int) -> Float[Array, " samples"]:
    """The noise, in each band as loud as the sound."""
    half = round(rate * _WINDOW)
    repeated = np.resize(noise, len(samples))
    own = np.sqrt(rate * half / 2)  # of the noise in a bin
    made = (
        bins * np.where(level > _QUIET * half, level / own, 0)
        for (_, level), (bins, _) in zip(_windows(samples, rate), _windows(repeated, rate), strict=True)
    )
    return np.concatenate(list(_sewn(made, half)))[: len(samples)].astype(np.float32)


def _white(samples: Float[Array, " samples"], rate: int) -> Iterator[Float[Array, " some"]]:
    """A sound as loud in each band and window."""
    made = (bins / (level + 0.001 * level.max(initial=0) + 1e-9) for bins, level in _windows(samples, rate))
    return _sewn(made, round(rate * _WINDOW))


def _windows(samples: Float[Array, " samples"], rate: int) -> Iterator[tuple[Array, Array]]:
    """The spectrum of windows that overlap by half, some at once, and the root mean square of each bin's critical band."""
    half = round(rate * _WINDOW)
    padded = np.pad(samples, (half, 2 * half))
    count = len(padded) // half - 1
    shape = np.sqrt(np.hanning(2 * half + 1)[:-1]).astype(np.float32)
    hertz = np.fft.rfftfreq(2 * half, 1 / rate)
    width = 25 + 75 * (1 + 1.4 * np.square(hertz / 1000)) ** 0.69
    bins = len(hertz)
    low = np.clip(np.rint((hertz - width / 2) * 2 * half / rate).astype(int), 0, bins - 1)
    high = np.clip(np.rint((hertz + width / 2) * 2 * half / rate).astype(int) + 1, low + 1, bins)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)[::half][:count]
    for start in range(0, count, _ROWS):
        spectrum = np.fft.rfft(frames[start : start + _ROWS] * shape)
        total = np.cumsum(np.pad(np.square(np.abs(spectrum)), ((0, 0), (1, 0))), axis=1)
        yield spectrum, np.sqrt(np.maximum(total[:, high] - total[:, low], 0) / (high - low))


def _sewn(spectra: Iterator[Array], half: int) -> Iterator[Float[Array, " some"]]:
    """The samples of windows that overlap by half, from where the first one is at its highest."""
    shape = np.sqrt(np.hanning(2 * half + 1)[:-1])
    before = np.zeros(half)
    first = True
    for spectrum in spectra:
        windows = np.fft.irfft(spectrum, 2 * half) * shape
        starts = np.concatenate([before[None], windows[:-1, half:]])
        made = (windows[:, :half] + starts).ravel()
        before = windows[-1, half:]
        yield (made[half:] if first else made).astype(np.float32)
        first = False
