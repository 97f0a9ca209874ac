"""Sound as samples: recordings of any rate and number of channels <-> ids, at one rate and mono.

- an id is a 16-bit sample plus 32,768, so that what has the rate already comes back exactly
- other rates are resampled by a polyphase filter with a Kaiser window (`scipy.signal.resample_poly`)
- silence at both ends is cut off and loudness brought to a level only where that is asked for
"""

import hashlib
import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from jaxtyping import Float, Int16, Shaped, UInt16
from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import atomic_path, make_folder, read_json, write_json

Array = np.ndarray
SOUND_CODEC = "sound_codec.json"
FULL = 32768
"""The size of the loudest sample of 16 bits."""
LOWEST, HIGHEST = 1000, 384_000
"""Samples in a second that a recording may have."""
PAUSE = 0.2
"""Seconds between things that are said one after the other."""
_FRAME = 0.01  # seconds
_SILENT = 50.0  # decibels below the loudest frame
_KEPT = 0.05  # seconds of silence that stay before and behind
_FLOOR = 1e-9


FORMATS = {
    ".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}  # fmt: skip
"""How a sound is written, by the end of its file's name."""
_RATES = {
    ".mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000), ".opus": (8000, 12000, 16000, 24000, 48000),
}  # fmt: skip
"""Samples in a second that a format may have, where that is not any number."""


class SoundCodec(Config):
    """Samples <-> ids.

    Attributes:
        rate: samples in a second.
        trim: whether silence at both ends is cut off.
        loudness: the root mean square that every sound is brought to, in decibels of full scale; None leaves it as it is.
    """

    rate: int = Field(ge=LOWEST, le=HIGHEST)
    trim: bool = False
    loudness: float | None = Field(default=None, ge=-60, le=0)

    @property
    def vocab_size(self) -> int:
        return 2 * FULL

    def prepare(self, values: Shaped[Array, "samples channels"], rate: float) -> Float[Array, " samples"]:
        """A recording (int16) as the model has it: mono, at the codec's rate, from -1 to 1."""
        mono: Array = resample(values.astype(np.float32).mean(axis=1) / FULL, rate, self.rate)
        if self.trim:
            first, last = sounding(mono, self.rate)
            mono = mono[first:last]
        if self.loudness is not None and len(mono):
            own = max(loudness(mono), -200.0)
            gain = 10 ** ((self.loudness - own) / 20) if own > -100 else 1.0
            mono = mono * min(gain, 1 / max(float(np.abs(mono).max()), _FLOOR))
        return mono

    def encode(self, values: Shaped[Array, "samples channels"], rate: float) -> UInt16[Array, " new"]:
        """The ids of a recording (int16)."""
        return (to_int16(self.prepare(values, rate)).astype(np.int32) + FULL).astype(np.uint16)

    def decode(self, ids: Shaped[Array, " samples"]) -> Int16[Array, "samples 1"]:
        """The samples of ids."""
        return (np.asarray(ids, dtype=np.int32) - FULL).astype(np.int16)[:, None]

    def samples(self, ids: Shaped[Array, " samples"]) -> Float[Array, " samples"]:
        """The samples of ids as a network takes them, from -1 to 1."""
        return (np.asarray(ids, dtype=np.float32) - FULL) / FULL

    def fingerprint(self) -> str:
        """SHA-256 of all that it does."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def save(self, folder: Path | str) -> None:
        write_json(Path(folder) / SOUND_CODEC, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """
        Raises:
            DaedalError: the file is missing or damaged.
        """
        path = Path(folder) / SOUND_CODEC
        values = read_json(path)
        return cls.parse(values if isinstance(values, dict) else {}, str(path))


def to_int16(samples: Float[Array, "*shape"]) -> Int16[Array, "*shape"]:
    """Samples from -1 to 1 in 16 bits; what is louder is cut off."""
    made: Array = np.clip(np.rint(samples * FULL), -FULL, FULL - 1).astype(np.int16)
    return made


def sound_file(samples: Float[Array, "samples *channels"], rate: int, form: str = ".wav", comment: str = "") -> bytes:
    """Samples from -1 to 1 as a file of one of `FORMATS`.

    Args:
        comment: a text that the file carries, as players show it.

    Raises:
        DaedalError: the format has no such rate.
    """
    buffer = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with sound_writer(buffer, rate, form, channels, comment) as file:
        file.write(to_int16(samples))
    return buffer.getvalue()


def write_one_by_one(path: Path, sounds: Sequence[Float[Array, " _"]], rate: int, pause: float = 0.0) -> Path:
    """Write sounds one after the other into a WAV, so many seconds of silence behind each; gives its path."""
    path, silence = path.with_suffix(".wav"), np.zeros(round(pause * rate), dtype=np.float32)
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        temporary.write_bytes(sound_file(np.concatenate([part for each in sounds for part in (each, silence)]), rate))
    return path


def sound_writer(to: BinaryIO, rate: int, form: str, channels: int = 1, comment: str = "") -> Any:
    """A sound file of one of `FORMATS` that is open: its `write` takes samples of 16 bits, as often as there are some.

    Raises:
        DaedalError: the format has no such rate.
    """
    import soundfile  # type: ignore[import-untyped]

    kind, subtype = FORMATS[form]
    if rate not in _RATES.get(form, (rate,)):
        name = "An MP3" if form == ".mp3" else "Opus"
        raise DaedalError(f"{name} has no {rate:,} samples a second", "Choose .wav, .flac or .ogg")
    file = soundfile.SoundFile(to, "w", rate, channels, format=kind, subtype=subtype)
    if comment:
        file.comment = comment
    return file


def resample(samples: Float[Array, " old"], rate: float, to: int) -> Float[Array, " new"]:
    """Samples at another rate."""
    if rate == to or not len(samples):
        return samples
    from scipy.signal import resample_poly

    ratio = Fraction(to) / Fraction(rate).limit_denominator(1000)
    made: Array = resample_poly(samples, ratio.numerator, ratio.denominator).astype(np.float32)
    return made


def faster(samples: Float[Array, " samples"], share: float) -> Float[Array, " new"]:
    """Samples played faster by a share of their speed, and so higher; slower where it is below zero."""
    places = np.arange(0, max(1, len(samples) - 1), 1 + share)
    made: Array = np.interp(places, np.arange(len(samples)), samples).astype(np.float32)
    return made


def loudness(samples: Float[Array, " samples"]) -> float:
    """The root mean square in decibels of full scale, minus infinity of nothing."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * float(np.log10(power)) if power else -float("inf")


def sounding(samples: Float[Array, " samples"], rate: float) -> tuple[int, int]:
    """The first sample, and that after the last, of what is not silence: 50 dB below the loudest hundredth of a second. A
    twentieth of a second of silence stays on both sides."""
    frame = max(1, round(rate * _FRAME))
    count = -(-len(samples) // frame)
    padded = np.zeros(count * frame, dtype=np.float64)
    padded[: len(samples)] = samples
    power = np.square(padded).reshape(count, frame).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * 10 ** (-_SILENT / 10))
    if not len(loud):
        return 0, len(samples)
    kept = round(rate * _KEPT)
    return max(0, int(loud[0]) * frame - kept), min(len(samples), (int(loud[-1]) + 1) * frame + kept)
