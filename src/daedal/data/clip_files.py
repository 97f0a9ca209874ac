"""A file of moving pictures -> so many frames of one size: animated GIF, WebP and PNG by Pillow, video by PyAV.

Frames are taken evenly from the time that a clip lasts, so that files that keep one frame for several equal ones give the same.
What a file says of its size and length is looked at before it is decoded, and no more than the frames that are taken are kept.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np

from daedal.codecs.raster import Raster, to_channels, to_size
from daedal.data.artifacts import Unreadable
from daedal.data.columns import Signal
from daedal.data.filetypes import words
from daedal.data.images.png import readable

ANIMATED = words("gif webp apng png")
"""How names of pictures end that may move."""
VIDEO = words("mp4 m4v mov webm mkv avi mpg mpeg ogv")
LARGEST = 512 * 2**20
"""Bytes of a file."""
_MOST_PIXELS = 4096 * 4096  # of a frame
_MOST_FRAMES = 20_000  # of a file that are looked at
_UNSAID = 0.1  # seconds of a frame of which nobody says how long it is shown, as browsers have it
_FORMATS = ("GIF", "WEBP", "PNG")


class Sampling(NamedTuple):
    """What is taken of a clip.

    Attributes:
        frames: how many.
        raster: their size.
        longest: seconds that a clip may last.
    """

    frames: int
    raster: Raster
    longest: float

    def times(self, seconds: float) -> np.ndarray:
        """When the frames that are taken are shown."""
        return (np.arange(self.frames) + 0.5) * (seconds / self.frames)

    def treat(self, picture: Any) -> np.ndarray:
        """A frame, brought to size."""
        return to_size(to_channels(picture, 3, self.raster.background), self.raster)

    def refuse_long(self, seconds: float) -> None:
        if seconds > self.longest:
            raise Unreadable("too long", f"more than {self.longest:,g} s", broken=False)

    def refuse_large(self, width: int, height: int) -> None:
        if width * height > _MOST_PIXELS or not width * height:
            raise Unreadable("too large", f"frames of {width:,} x {height:,} pixels")


def decode_clip(data: bytes, end: str, sampling: Sampling) -> Signal:
    """The clip in the bytes of a file.

    Args:
        end: of its name.

    Raises:
        Unreadable: there is none, it is broken, stands still, or is too large or too long.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, seconds = (_of_video if end in VIDEO else _of_pictures)(data, sampling)
    except Unreadable:
        raise
    except MemoryError:
        raise Unreadable("broken file", "it asks for more memory than there is") from None
    except Exception as error:  # on damaged files the decoders raise whatever they stumble over
        told = getattr(error, "strerror", None) or str(
            error
        )  # of the system's faults and FFmpeg's without their numbers
        said = (told.splitlines() or [type(error).__name__])[0]
        bomb = type(error).__name__.startswith("DecompressionBomb")
        raise Unreadable("too large" if bomb else "broken file", said[:160]) from None
    return Signal(values, sampling.frames / seconds)


def moves(data: bytes) -> bool:
    """Whether a picture's file has several frames; a file of pages, as TIFF, has none in time."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(readable(data)), formats=_FORMATS) as picture:
                return bool(getattr(picture, "is_animated", False))
    except Exception:  # the build says what is wrong
        return False


def _of_pictures(data: bytes, sampling: Sampling) -> tuple[np.ndarray, float]:
    from PIL import Image

    with Image.open(io.BytesIO(readable(data)), formats=_FORMATS) as picture:
        sampling.refuse_large(*picture.size)
        if not getattr(picture, "is_animated", False):
            raise Unreadable("one frame", "it does not move", broken=False)
        ends, seconds = [], 0.0
        for number in range(min(picture.n_frames, _MOST_FRAMES)):  # type: ignore[attr-defined]
            picture.seek(number)
            seconds += picture.info.get("duration", 0) / 1000 or _UNSAID
            sampling.refuse_long(seconds)
            ends.append(seconds)
        if picture.n_frames > _MOST_FRAMES:  # type: ignore[attr-defined]
            raise Unreadable("too long", f"{picture.n_frames:,} frames", broken=False)  # type: ignore[attr-defined]
        wanted = np.searchsorted(ends, sampling.times(seconds), side="right").clip(max=len(ends) - 1)
        taken: dict[int, np.ndarray] = {}
        for number in sorted({int(each) for each in wanted}):
            picture.seek(number)
            taken[number] = sampling.treat(picture)
    return np.stack([taken[int(each)] for each in wanted]), seconds


def _of_video(data: bytes, sampling: Sampling) -> tuple[np.ndarray, float]:
    with open_video(data) as container:
        if not container.streams.video:
            raise Unreadable("no video", "the file has no stream of pictures", broken=False)
        stream = container.streams.video[0]
        sampling.refuse_large(stream.codec_context.width, stream.codec_context.height)
        said = stream.duration * float(stream.time_base) if stream.duration and stream.time_base else None
        said = container.duration / 1e6 if said is None and container.duration else said
        if said is not None:
            sampling.refuse_long(said)
    times: list[float] = []
    for time, _ in _decoded(data, sampling):
        times.append(time)
    if len(times) < 2:
        raise Unreadable("one frame" if times else "broken file", "it does not move", broken=not times)
    begin, shown = times[0], (times[-1] - times[0]) / (len(times) - 1)
    seconds = times[-1] - begin + shown
    if seconds <= 0:
        raise Unreadable("broken file", "all of its frames are shown at one time")
    wanted = np.searchsorted(times, sampling.times(seconds) + begin, side="right") - 1
    taken = {
        number: sampling.treat(frame.to_image())
        for number, (_, frame) in enumerate(_decoded(data, sampling))
        if number in wanted
    }
    return np.stack([taken[int(each)] for each in wanted]), seconds


def open_video(data: bytes) -> AbstractContextManager[Any]:
    """A video of these bytes alone: play lists and session descriptions, which name other files and addresses, open none."""
    try:
        import av
    except ImportError:
        raise Unreadable(
            "no PyAV", "video is read by it: pip install 'daedal[video]'; or convert it to GIF or WebP", broken=False
        ) from None
    container: AbstractContextManager[Any] = av.open(io.BytesIO(data), "r", options={"protocol_whitelist": "none"})
    return container


def _decoded(data: bytes, sampling: Sampling) -> Iterator[tuple[float, Any]]:
    """The frames of a video with their times, one after the other."""
    with open_video(data) as container:
        size = None
        for number, frame in enumerate(container.decode(video=0)):
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                raise Unreadable("changing size", f"from {size[0]} x {size[1]} to {frame.width} x {frame.height}")
            time = number / 25 if frame.time is None else frame.time
            sampling.refuse_long(time)
            if number >= _MOST_FRAMES:
                raise Unreadable("too long", f"more than {_MOST_FRAMES:,} frames", broken=False)
            yield time, frame
