"""What is given to be verified: a file or a text, recognised by its bytes and never by its name alone, decoded with care.

Nothing here needs PyTorch: an answer takes a fraction of a second. Sizes that a file claims are looked at before it is decoded.
"""

import io
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from daedal.errors import DaedalError
from daedal.files import read_bytes

Kind = Literal["picture", "clip", "sound", "tune", "text"]
_LARGEST = 2**28
"""Bytes of a file."""
_BEGINNINGS: tuple[tuple[int, bytes, Kind, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "picture", "image/png"),
    (0, b"\xff\xd8\xff", "picture", "image/jpeg"),
    (0, b"GIF8", "picture", "image/gif"),
    (8, b"WEBP", "picture", "image/webp"),
    (0, b"II*\x00", "picture", "image/tiff"),
    (0, b"MM\x00*", "picture", "image/tiff"),
    (0, b"BM", "picture", "image/bmp"),
    (8, b"WAVE", "sound", "audio/wav"),
    (0, b"fLaC", "sound", "audio/flac"),
    (0, b"OggS", "sound", "audio/ogg"),
    (0, b"ID3", "sound", "audio/mpeg"),
    (0, b"MThd", "tune", "audio/midi"),
    (4, b"ftyp", "clip", "video/mp4"),
)
_ANIMATED = ("image/gif", "image/webp", "image/png")
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_LONGEST_SIDE, _MOST_PIXELS = 2**15, 2**26
"""Pixels: of a side, and of a picture, or of the frames of a clip that are looked at, together."""
_MOST_FRAMES = 64
_LONGEST, _MOST_SAMPLES = 1800.0, 2**25
"""Seconds of a sound, and samples of all its channels."""
_CONTROLS = set(range(32)) - set(b"\t\n\v\f\r\x1b")
_LARGEST_TEXT = 2**21
"""Bytes."""


class Sound(NamedTuple):
    """Samples from -1 to 1, in channels."""

    samples: Float32[np.ndarray, "samples channels"]
    rate: int


@dataclass(frozen=True)
class Artifact:
    """Something whose origin is asked for.

    Attributes:
        name: as messages call it.
        data: its bytes; of a typed text its UTF-8.
        path: of its file; None where it is none.
    """

    name: str
    kind: Kind
    media_type: str
    data: bytes
    path: Path | None = None

    @classmethod
    def of(cls, given: str | Path) -> "Artifact":
        """A file, or where there is none of that name, a text.

        Raises:
            DaedalError: there is no such file, or it is nothing that is recognised.
        """
        if not str(given).strip():
            raise DaedalError("There is nothing to verify", "Name a file, or give a text")
        path = Path(given)
        if isinstance(given, Path) or _is_file(path):
            return cls.of_bytes(read_bytes(path, _LARGEST), str(path), path)
        if len(given.split()) == 1 and (path.suffix or "/" in given):
            raise DaedalError(f"{given} is missing", "Check the path, or give a text of several words")
        return cls("the text", "text", "text/plain", given.encode("utf-8", "replace"))

    @classmethod
    def of_bytes(cls, data: bytes, name: str, path: Path | None = None) -> "Artifact":
        """What the bytes of a file are.

        Raises:
            DaedalError: nothing that is recognised.
        """
        if not data:
            raise DaedalError(f"{name} is empty", "Name another file")
        tag = _size_of_tag(data)  # a FLAC that is signed has one before it
        for begin, mark, kind, media_type in () if _reads_as_text(data) else _BEGINNINGS:
            if data.startswith(mark, begin) or (media_type == "audio/flac" and data.startswith(mark, tag)):
                moves = media_type in _ANIMATED and _moves(data)
                return cls(name, "clip" if moves else kind, media_type, data, path)
        if data[0] == 0xFF and len(data) > 1 and data[1] & 0xE6 == 0xE2:  # a frame of MPEG audio, layer III
            return cls(name, "sound", "audio/mpeg", data, path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise DaedalError(
                f"{name} is neither a picture, a sound, a video, MIDI nor text in UTF-8", "Name another file"
            )
        if len(data) > _LARGEST_TEXT:
            raise DaedalError(f"{name} is a text of {len(data):,} bytes", f"Give at most {_LARGEST_TEXT:,} of them")
        return cls(name, "text", "text/plain", data, path)

    @cached_property
    def text(self) -> str:
        """With line ends as they were written; copying between systems changes them."""
        return self.data.decode("utf-8-sig", "replace").replace("\r\n", "\n")

    def decode(self) -> None:
        """Decode it, as whoever looks at it later does.

        Raises:
            DaedalError: it cannot be decoded.
        """
        match self.kind:
            case "picture":
                _ = self.picture
            case "clip":
                _ = self.frames
            case "sound":
                _ = self.sound

    @cached_property
    def picture(self) -> Image.Image:
        """
        Raises:
            DaedalError: it is damaged, or huge.
        """
        return self._frames(1)[0]

    @cached_property
    def frames(self) -> list[Image.Image]:
        """The first frames of a clip.

        Raises:
            DaedalError: it is damaged or huge, or reading it needs PyAV.
        """
        return self._film(_MOST_FRAMES) if self.media_type == "video/mp4" else self._frames(_MOST_FRAMES)

    @cached_property
    def pixels(self) -> UInt8[np.ndarray, "frames height width 3"]:
        """Those frames."""
        return np.stack([np.asarray(frame.convert("RGB")) for frame in self.frames])

    @cached_property
    def sound(self) -> Sound:
        """
        Raises:
            DaedalError: it is damaged, or too long.
        """
        from daedal.codecs.sound import FULL
        from daedal.data.artifacts import Unreadable
        from daedal.data.sound_files import decode_sound

        try:
            signal = decode_sound(self.data, _LONGEST, _MOST_SAMPLES).signal
        except Unreadable as error:
            raise DaedalError(f"{self.name} cannot be read: {error.reason} ({error.detail})", "Name another") from None
        return Sound(signal.values.astype(np.float32) / FULL, round(signal.rate))

    def _frames(self, most: int) -> list[Image.Image]:
        from daedal.data.images.png import readable

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(readable(self.data)), formats=_FORMATS) as file:
                    frames = []
                    for number in range(min(most, self._room(*file.size))):
                        try:
                            file.seek(number)
                        except EOFError:
                            break
                        file.load()
                        frames.append(file.copy())
                    return frames
        except DaedalError:
            raise
        except Exception as error:  # on damaged files the decoders raise whatever they stumble over
            raise self._damaged(error) from None

    def _film(self, most: int) -> list[Image.Image]:
        from daedal.data.artifacts import Unreadable
        from daedal.data.clip_files import open_video

        try:
            with open_video(self.data) as container:
                if not container.streams.video:
                    raise DaedalError(f"{self.name} holds no video", "Name another file")
                frames: list[Image.Image] = []
                for frame in container.decode(video=0):
                    if len(frames) >= min(most, self._room(frame.width, frame.height)):
                        break
                    frames.append(frame.to_image())
        except DaedalError:
            raise
        except Unreadable as error:
            raise DaedalError(f"{self.name} cannot be read: {error.detail}", "Name another") from None
        except Exception as error:
            raise self._damaged(error) from None
        if not frames:
            raise DaedalError(f"{self.name} shows nothing", "Name another video")
        return frames

    def _room(self, width: int, height: int) -> int:
        """How many frames of a size are looked at."""
        if width * height > _MOST_PIXELS or max(width, height) > _LONGEST_SIDE:
            raise DaedalError(f"{self.name} has {width:,} x {height:,} pixels", "Make it smaller first")
        return _MOST_PIXELS // max(1, width * height)

    def _damaged(self, error: Exception) -> DaedalError:
        said = " ".join((str(error).splitlines() or [""])[0].split())[:160] or type(error).__name__
        said = said.replace("cannot identify image file <_io.BytesIO object at", "no picture is in it <")
        said = said.partition(" <")[0]
        return DaedalError(f"{self.name} is damaged or cannot be read ({said})", "Name another file")


def _is_file(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a text may be longer than any name
        return False


def _reads_as_text(data: bytes) -> bool:
    """Whether no byte near the beginning is a control character, as some are in the head of every picture, sound and video."""
    return not set(data[:4096]) & _CONTROLS


def _size_of_tag(data: bytes) -> int:
    """Bytes of the ID3 tag that stands before a sound; 0 where there is none."""
    if not data.startswith(b"ID3") or len(data) < 10:
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))


def _moves(data: bytes) -> bool:
    """Whether a picture's file has several frames."""
    from daedal.data.images.png import readable

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(readable(data)), formats=_FORMATS) as file:
                return bool(getattr(file, "is_animated", False))
    except Exception:  # who decodes it says what is wrong
        return False
