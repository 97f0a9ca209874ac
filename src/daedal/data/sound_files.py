"""A sound file's bytes -> samples of 16 bits, by libsndfile: WAV, FLAC, OGG, MP3 and what else it reads.

What a file says of itself is looked at before anything is decoded, and decoding stops where it has given more than that: a
forged header or hours of sound cost no memory.
"""

import io
from typing import NamedTuple

import numpy as np

from daedal.codecs.sound import HIGHEST, LOWEST, to_int16
from daedal.data.artifacts import Unreadable
from daedal.data.columns import Signal
from daedal.data.filetypes import words

Array = np.ndarray
ENDS = words("wav wave flac ogg oga opus mp3 aiff aif aifc au snd caf w64 rf64")
"""How names of sound files end."""
LARGEST = 512 * 2**20
"""Bytes of a file."""
MOST_CHANNELS = 64
_BLOCK = 2**16
_MOST = 2**27  # samples of all channels
_UNKNOWN = 2**31  # frames, as some headers say that nobody counted them; WAV has no room for more


class Decoded(NamedTuple):
    """A sound, and what was set right as it was read."""

    signal: Signal
    mended: tuple[str, ...]


def decode_sound(data: bytes, longest: float, most: int = _MOST) -> Decoded:
    """The sound in the bytes of a file.

    Args:
        longest: seconds.
        most: samples of all channels.

    Raises:
        Unreadable: there is none, it is broken, or it lasts longer.
    """
    import soundfile  # type: ignore[import-untyped]

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            return _decoded(file, data, longest, most)
    except (soundfile.SoundFileError, OSError, ValueError, TypeError, MemoryError) as error:
        said = " ".join(str(error).split()).rpartition(": ")[2] or "damaged"
        raise Unreadable("broken file", said[:200]) from None


def _decoded(file: object, data: bytes, longest: float, samples: int) -> Decoded:
    rate, channels, claimed = file.samplerate, file.channels, file.frames  # type: ignore[attr-defined]
    if not LOWEST <= rate <= HIGHEST:
        raise Unreadable("broken file", f"it says that it has {rate:,} samples a second")
    if channels > MOST_CHANNELS:
        raise Unreadable("broken file", f"it says that it has {channels} channels")
    most = int(longest * rate)
    if most < claimed < _UNKNOWN:
        raise Unreadable("too long", f"{claimed / rate:,.1f} s, and {longest:g} s are the most", broken=False)
    blocks: list[Array] = []
    count, peak = 0, 0.0
    subtype = file.subtype  # type: ignore[attr-defined]
    exact = subtype in ("PCM_16", "PCM_S8", "PCM_U8", "ULAW", "ALAW")
    unbounded = subtype in ("FLOAT", "DOUBLE")  # how loud it is at most, is known at the end
    while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):  # type: ignore[attr-defined]
        count += len(block)
        if count > most or count * channels > samples:
            raise Unreadable("too long", f"more than {longest:g} s, or too many channels of them", broken=False)
        top = float(np.abs(block).max())
        if not np.isfinite(top):
            raise Unreadable("broken file", "samples that are no numbers")
        peak = max(peak, top)
        blocks.append(block if unbounded else to_int16(block))
    if not count:
        raise Unreadable("empty", "it has no samples", broken=False)
    if not peak:
        raise Unreadable("silent", f"{count / rate:,.2f} s of nothing", broken=False)
    mended = []
    whole = np.concatenate(blocks)
    if not exact:
        if peak > 1 and unbounded:
            mended.append("sounds over full scale: brought down to it")
            whole = whole / peak * np.float32(1 - 2**-15)
        if subtype.startswith("PCM") or unbounded:
            mended.append(f"samples of {_bits(subtype)}: rounded to 16 bits")
        whole = to_int16(whole) if unbounded else whole
    if not whole.sum(axis=1, dtype=np.int32).any():
        raise Unreadable("silent", f"{count / rate:,.2f} s of nothing, once it has 16 bits and is mono", broken=False)
    if (claimed < _UNKNOWN and count < claimed - rate // 4) or _cut(data):
        mended.append("files that end before their sound does: read as far as they go")
    return Decoded(Signal(whole, float(rate)), tuple(mended))


def _bits(subtype: str) -> str:
    return {"FLOAT": "32 bits (float)", "DOUBLE": "64 bits (float)"}.get(subtype, f"{subtype.rpartition('_')[2]} bits")


def _cut(data: bytes) -> bool:
    """Whether a WAV file says that it is longer; some programs write a number that stands for none."""
    said = int.from_bytes(data[4:8], "little") + 8
    return data[:4] == b"RIFF" and len(data) + 1 < said < _UNKNOWN
