"""Clips that a person gives a model: as many frames as those that it learned, taken evenly as its training data were."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from daedal.codecs.clip import ClipCodec
from daedal.codecs.image import PixelCodec
from daedal.codecs.raster import Raster
from daedal.data.artifacts import Unreadable, end_of
from daedal.data.clip_files import ANIMATED, LARGEST, VIDEO, Sampling, decode_clip
from daedal.errors import DaedalError
from daedal.files import regular_size
from daedal.inference.clip import Clip
from daedal.inference.input_picture import AnyPicture, fit

AnyClip = Path | str | Clip | Sequence[AnyPicture]
"""What is taken for a clip: a file, or frames, of which every one is taken."""
Frames = UInt8[np.ndarray, "frames height width 3"]
_LONGEST = 600.0  # seconds


def input_frames(given: AnyClip, codec: ClipCodec) -> Frames:
    """The frames of a clip at a model's size.

    Raises:
        DaedalError: there is no such file, it holds no clip, or no frames are given.
    """
    if isinstance(given, Path | str):
        return _of_file(Path(given), codec)
    frames = given.frames if isinstance(given, Clip) else given
    if not len(frames):
        raise DaedalError("A clip without frames shows nothing", "Give at least one")
    pixels = PixelCodec(3, codec.height, codec.width)
    return np.stack([fit(frame, pixels).pixels for frame in frames])


def _of_file(path: Path, codec: ClipCodec) -> Frames:
    end = end_of(path.name)
    if end not in ANIMATED | VIDEO:
        raise DaedalError(f"{path} is no clip by its name", f"Name a file of {', '.join(sorted(ANIMATED | VIDEO))}")
    try:
        if regular_size(path) > LARGEST:
            raise DaedalError(f"{path} is too large for a clip", f"Give one of at most {LARGEST >> 20} MiB")
        data = path.read_bytes()
    except FileNotFoundError:
        raise DaedalError(f"{path} is missing", "Check the path of the clip") from None
    except OSError as error:
        raise DaedalError(f"{path} cannot be read ({error.strerror})", "Check the path and its permissions") from None
    raster = Raster(channels=3, height=codec.height, width=codec.width)
    try:
        frames: Frames = decode_clip(data, end, Sampling(codec.frames, raster, _LONGEST)).values
    except Unreadable as error:
        raise DaedalError(f"{path} cannot be read as a clip: {error.reason} ({error.detail})", "Give another") from None
    return frames
