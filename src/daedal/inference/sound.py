"""What speaking gives: a sound that knows how it was made, how to save itself and how to show itself."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from daedal.codecs.mel import MelCodec
from daedal.codecs.sheet import enlarged
from daedal.codecs.sound import FORMATS, sound_file
from daedal.errors import DaedalError
from daedal.files import write_json
from daedal.inference.picture import save_image
from daedal.inference.provenance import Provenance
from daedal.safety.marking import Marked, Marking

_DECIBELS = 80.0
"""From the darkest to the brightest of a spectrogram."""
_COLOURS = (
    (0, 0, 4),
    (40, 11, 84),
    (101, 21, 110),
    (159, 42, 99),
    (212, 72, 66),
    (245, 125, 21),
    (250, 193, 39),
    (252, 255, 164),
)
"""From dark to bright, as the eye sees them at even steps (inferno)."""
_PICTURE = ".png"
_SAVED_HEIGHT = 256  # pixels of a spectrogram in a file


@dataclass(frozen=True, repr=False)
class Sound:
    """Samples from -1 to 1, mono, and how many of them make a second."""

    samples: Float[np.ndarray, " samples"]
    rate: int
    provenance: Provenance | None = None

    def __repr__(self) -> str:
        return f"<a sound of {self.seconds:.2f} s, {self.rate:,} samples a second>"

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def save(self, path: Path | str, marking: Marking | None = None) -> Path:
        """Write the sound in the format that the name's end says, a spectrogram as `.png`; and beside it `<path>.json`, which
        says where it comes from. A picture and the comment of a sound file say so in themselves.

        Args:
            marking: puts in a watermark, signs and notes it.

        Raises:
            DaedalError: the name ends in no known format, or the file cannot be written.
        """
        path = Path(path)
        record = self._record | {"rate": self.rate, "seconds": self.seconds}
        if saved_format(path) == _PICTURE:
            return save_image(self.spectrogram(_SAVED_HEIGHT), path, record, marking)
        self._file(sound_format(path), marking).write(path)
        write_json(path.with_name(path.name + ".json"), record)
        return path

    def encoded(self, form: str = "wav", marking: Marking | None = None) -> bytes:
        """The sound as the file that `save` would write.

        Args:
            form: wav, flac, ogg, opus or mp3.
            marking: puts in a watermark, signs and notes it.

        Raises:
            DaedalError: there is no such format, or it has no such rate.
        """
        return self._file(sound_format(Path(f"sound.{form.lower()}")), marking).data

    def _file(self, end: str, marking: Marking | None) -> Marked:
        return (Marking() if marking is None else marking).sound(
            np.asarray(self.samples), self.rate, self._record, end,
            lambda samples: sound_file(samples, self.rate, end, self.comment),
        )  # fmt: skip

    @property
    def _record(self) -> dict[str, Any]:
        return {} if self.provenance is None else self.provenance.model_dump(mode="json")

    @property
    def comment(self) -> str:
        """Where it comes from, as its file says it: JSON; empty where nobody knows."""
        return "" if self.provenance is None else self.provenance.model_dump_json()

    def spectrogram(self, height: int = 128) -> Image.Image:
        """A picture of the sound: time from left to right, pitch from low to high, the louder the brighter.

        Args:
            height: about so many pixels.
        """
        codec = MelCodec.for_rate(self.rate)
        frames = codec.encode(torch.from_numpy(np.asarray(self.samples, dtype=np.float32))).numpy()
        decibels = frames * (20 / np.log(10))
        bright = np.clip(1 - (decibels.max() - decibels) / _DECIBELS, 0, 1) * (
            decibels.max() > 20 * np.log10(codec.floor)
        )
        places = np.linspace(0, 1, len(_COLOURS))
        colours = np.stack(
            [np.interp(bright.T[::-1], places, channel) for channel in zip(*_COLOURS, strict=True)], axis=-1
        )
        image = Image.fromarray(np.rint(colours).astype(np.uint8), "RGB")
        return enlarged(image, max(1, round(height / codec.bands)))

    def _repr_html_(self) -> str:
        picture = io.BytesIO()
        self.spectrogram().save(picture, format="PNG")
        shown, heard = (base64.b64encode(each).decode() for each in (picture.getvalue(), self.encoded()))
        return (
            f'<img src="data:image/png;base64,{shown}"><br><audio controls src="data:audio/wav;base64,{heard}"></audio>'
        )


def joined(sounds: Sequence[Float[np.ndarray, " _"]], rate: int, pause: float) -> Float[np.ndarray, " samples"]:
    """One after the other, with so many seconds between them."""
    silence = np.zeros(round(pause * rate), dtype=np.float32)
    return np.concatenate([piece for sound in sounds for piece in (sound, silence)][:-1])


def saved_format(path: Path) -> str:
    """The format that a file's name asks for, of sound or of a picture of it.

    Raises:
        DaedalError: there is none of that name.
    """
    return _PICTURE if path.suffix.lower() == _PICTURE else sound_format(path)


def sound_format(path: Path) -> str:
    """The format that a file's name asks for: its end.

    Raises:
        DaedalError: there is none of that name.
    """
    if path.suffix.lower() not in FORMATS:
        raise DaedalError(f"{path}: no sound is written as {path.suffix or 'such'}", f"Choose {', '.join(FORMATS)}")
    return path.suffix.lower()
