"""Files of every format that is signed, in tests."""

import io
from typing import Any

import numpy as np
from PIL import Image

from daedal.inference.clip import Clip, writes_mp4
from daedal.inference.picture import picture_file
from daedal.inference.sound import Sound
from daedal.safety.marking import Marking

RECORD: dict[str, Any] = {
    "model": "drawer", "fingerprint": "ab" * 32, "version": "0.1.0", "task": "generate", "label": "a red circle",
}  # fmt: skip


def picture(seed: int = 0, width: int = 96, height: int = 64) -> Image.Image:
    """Blobs of colour, whose outline is their own."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def samples(seed: int = 0, rate: int = 8000) -> np.ndarray:
    """A second of tones that come and go."""
    draw, time = np.random.default_rng(seed), np.arange(rate) / rate
    tones = [
        np.sin(2 * np.pi * f * time) * (np.sin(2 * np.pi * s * time) > 0)
        for f, s in draw.uniform(50, 2000, (4, 2)) / [1, 200]
    ]
    return (0.2 * np.sum(tones, axis=0)).astype(np.float32)


def files(marking: Marking | None, seed: int = 0) -> dict[str, bytes]:
    """By the end of its name, a file of each format of pictures, sounds and clips."""
    made = {
        end: picture_file(picture(seed), end, RECORD, marking=marking).data
        for end in (".png", ".jpg", ".webp", ".gif", ".tiff")
    }
    made |= {f".{form}": Sound(samples(seed), 8000).encoded(form, marking) for form in ("wav", "flac", "mp3")}
    if writes_mp4():
        frames = tuple(picture(seed + number, 64, 64) for number in range(4))
        made[".mp4"] = Clip(frames, 8).encoded("mp4", 1, marking)
    return made


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
