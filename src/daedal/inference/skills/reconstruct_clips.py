"""How clips come back through their tokenizer, and how far off they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from daedal.codecs.clip import ClipCodec
from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid
from daedal.inference.clip import Clip
from daedal.inference.input_clip import AnyClip, input_frames
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.models.vqvae3d import VQVAE3D
from daedal.training.clip_pictures import pixels_of, to_frames, to_pictures

_RATE = 8.0  # frames a second of what is shown


@dataclass(frozen=True)
class ClipReconstruction:
    """A clip and what comes back of it.

    Attributes:
        mse: mean squared error, of values from 0 to 1.
    """

    original: Clip
    clip: Clip
    mse: float

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in decibels; infinite where the two are equal."""
        return math.inf if self.mse == 0 else -10 * math.log10(self.mse)

    @property
    def pair(self) -> Clip:
        """The two as one clip, one beside the other."""
        both = zip(self.original.frames, self.clip.frames, strict=True)
        return Clip(tuple(grid(pair, 2, 1) for pair in both), self.clip.fps)


class ReconstructClips(Skill):
    """Clips as they come through their tokenizer."""

    name = "reconstruct-clips"
    learned = VQVAE3D
    needs = ("reconstruct",)

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        assert isinstance(subject.model, VQVAE3D)
        assert isinstance(subject.codec, ClipCodec)
        self._model, self._codec = subject.model, subject.codec

    @torch.no_grad()
    def reconstruct(self, clips: Sequence[AnyClip], **nothing: Any) -> list[ClipReconstruction]:
        """Each clip as it comes through the tokenizer, and how far off it is. Of fewer frames than it learned, those come back;
        of more, the first.

        Raises:
            DaedalError: a clip cannot be read.
        """
        return [self._of(input_frames(clip, self._codec)[: self._codec.frames]) for clip in clips]

    def _of(self, frames: Any) -> ClipReconstruction:
        pixels = pixels_of(self._codec)
        video = pixels.encode_batch(to_pictures(frames[None])).to(self._subject.device)
        back = to_frames(pixels.decode_batch(self._model.reconstruct(video)))[0, : len(frames)]
        error = np.square((back.astype(np.float64) - frames) / 255).mean()
        original, rebuilt = (Clip(tuple(map(to_image, each)), _RATE) for each in (frames, back))
        return ClipReconstruction(original, rebuilt, float(error))
