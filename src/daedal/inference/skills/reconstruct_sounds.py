"""How recordings come back through the codes of a tokenizer, and how far off they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from daedal.inference.recordings import Recording, listed, signal_of
from daedal.inference.skill import Skill
from daedal.inference.sound import Sound
from daedal.models.soundtokens import SoundTokens

_TOGETHER = 16
_DECIBELS = 20 / np.log(10)  # of a nat of amplitude


@dataclass(frozen=True)
class Copy:
    """A recording as it comes back.

    Attributes:
        distance: the mean absolute difference of the log-mel frames of both, in decibels.
        moments: how often it has codes, and `books`, how many each time.
    """

    sound: Sound
    distance: float
    moments: int
    books: int

    def record(self) -> dict[str, Any]:
        """What is known of it, as JSON can say it."""
        return {"distance": self.distance, "moments": self.moments, "books": self.books}


class ReconstructSounds(Skill):
    """Recordings as they come through the codes of a tokenizer."""

    name = "reconstruct-sounds"
    learned: ClassVar[type[SoundTokens]] = SoundTokens
    needs = ("reconstruct",)
    verb = "reconstruct"

    def reconstruct_sounds(self, recordings: Recording | Sequence[Recording]) -> list[Copy]:
        """Each recording as it comes back from its codes, and how far off it is.

        Raises:
            DaedalError: one is no sound, or too long.
        """
        codec, model = self._subject.codec, self._subject.model
        mel, made = model.config.mel, list[Copy]()
        given = [torch.from_numpy(codec.samples(codec.encode(*signal_of(each)))) for each in listed(recordings)]
        for first in range(0, len(given), _TOGETHER):
            some = given[first : first + _TOGETHER]
            codes = model.encode_ids(some)
            for samples, ids, rebuilt in zip(some, codes, model.decode_ids(codes), strict=True):
                back = rebuilt[: len(samples)].cpu()
                away = float((mel.encode(back) - mel.encode(samples)).abs().mean()) * _DECIBELS
                made.append(Copy(Sound(back.numpy(), codec.rate), away, *ids.shape))
        return made
