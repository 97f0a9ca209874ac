"""Recordings as the measures of sound take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from daedal.codecs.mel import MelCodec
from daedal.codecs.sound import SoundCodec
from daedal.evaluation.measures.mel_distortion import cepstra
from daedal.inference.sound import Sound

Array = np.ndarray


def as_sounds(codec: SoundCodec, recordings: Sequence[Any]) -> list[Sound]:
    """Recordings of a column (`daedal.data.columns.Signal`) as a model of this codec has them."""
    return [Sound(codec.samples(codec.encode(*each)), codec.rate) for each in recordings]


def cepstra_of(sounds: Sequence[Sound]) -> list[Float[Array, "frames coefficients"]]:
    """The mel cepstra of sounds of one rate, in the frames of that rate."""
    mel = MelCodec.for_rate(sounds[0].rate)
    return [
        cepstra(mel.encode(torch.from_numpy(np.asarray(each.samples, dtype=np.float32))).numpy()) for each in sounds
    ]


def spectrograms(sounds: Sequence[Sound]) -> list[Image.Image]:
    """Pictures of sounds."""
    return [each.spectrogram(64) for each in sounds]


def conditions(rate: int) -> dict[str, object]:
    """What a definition says of such frames."""
    mel = MelCodec.for_rate(rate)
    return {"bands": mel.bands, "hop": f"{1000 * mel.hop / rate:g}ms"}
