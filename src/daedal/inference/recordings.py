"""Recordings that a skill is given: files, their bytes, samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from daedal.codecs.sound import to_int16
from daedal.data.artifacts import Unreadable
from daedal.data.columns import Signal
from daedal.data.sound_files import LARGEST, decode_sound
from daedal.errors import DaedalError
from daedal.files import read_bytes
from daedal.inference.sound import Sound

Recording = str | Path | bytes | Sound | Signal
"""A sound file, its bytes, or samples."""
MOST_SECONDS = 600.0
"""Of a recording that is listened to."""
_MOST_SAMPLES = 2**26  # of all its channels


def listed(recordings: Recording | Sequence[Recording]) -> list[Recording]:
    """One recording, or several, as a list.

    Raises:
        DaedalError: samples are given without their rate.
    """
    if isinstance(recordings, np.ndarray):
        raise DaedalError("Samples do not say how many of them make a second", "Give a Sound(samples, rate), or a file")
    one = isinstance(recordings, str | Path | bytes | Sound | Signal)
    return [recordings] if one else list(recordings)  # type: ignore[list-item, arg-type]


def signal_of(recording: Recording) -> Signal:
    """The samples of a recording.

    Raises:
        DaedalError: it is no sound, or too long.
    """
    if isinstance(recording, Signal):
        return recording
    if isinstance(recording, Sound):
        return Signal(to_int16(np.asarray(recording.samples))[:, None], float(recording.rate))
    name = "The recording" if isinstance(recording, bytes) else str(recording)
    try:
        data = recording if isinstance(recording, bytes) else read_bytes(Path(recording).expanduser(), LARGEST)
        return decode_sound(data, MOST_SECONDS, _MOST_SAMPLES).signal
    except Unreadable as error:
        raise DaedalError(
            f"{name} cannot be listened to: {error.reason} ({error.detail})", "Give a WAV, FLAC, OGG or MP3 file"
        ) from None
