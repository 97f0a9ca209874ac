"""A sound file that is written while the sound is being made: bytes are given out once nothing changes them any more."""

import io
import struct

import numpy as np
from jaxtyping import Float

from daedal.codecs.sound import sound_writer, to_int16

Array = np.ndarray
FORMATS = ("wav", "flac", "mp3", "opus", "ogg", "pcm")
"""How a sound can be sent; `pcm` is its samples alone, of 16 bits, the low byte first."""
GROWING = ("pcm", "opus", "ogg")
"""Those of which the beginning does not depend on the end."""
_UNKNOWN = 2**32 - 1  # what a WAV that is streamed says of its length


class SoundStream:
    """The bytes of a mono sound: `add` samples, then `end`.

    Args:
        rate: samples in a second.
        open_ended: whether a WAV is given out as it grows; its header then says that its length is unknown.
        comment: a text that the file carries, where its format can.

    Raises:
        DaedalError: the format has no such rate.
    """

    def __init__(self, rate: int, form: str, open_ended: bool = False, comment: str = "") -> None:
        self._buffer, self._sent = io.BytesIO(), 0
        self._plain = form == "pcm" or (form == "wav" and open_ended)
        self._grows = self._plain or form in GROWING
        if form == "wav" and open_ended:
            self._buffer.write(_header(rate))
        self._file = None if self._plain else sound_writer(self._buffer, rate, f".{form}", comment=comment)

    def add(self, samples: Float[Array, " samples"]) -> bytes:
        """What may be sent now."""
        whole = to_int16(np.asarray(samples))
        if self._file is None:
            self._buffer.write(whole.astype("<i2").tobytes())
        else:
            self._file.write(whole)
        if not self._grows:
            return b""
        if self._file is not None:
            self._file.flush()
        return self._rest()

    def end(self) -> bytes:
        """The rest."""
        if self._file is not None:
            self._file.close()
        return self._rest()

    def _rest(self) -> bytes:
        made = self._buffer.getvalue()[self._sent :]
        self._sent += len(made)
        return made


def _header(rate: int) -> bytes:
    """Of a WAV of 16 bits, mono, whose length nobody knows yet."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE") + form + struct.pack("<4sI", b"data", _UNKNOWN)
