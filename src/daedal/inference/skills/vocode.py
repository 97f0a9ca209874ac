"""Sound of log-mel frames, by a vocoder: recordings as they come back from their frames."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from daedal.inference.recordings import Recording, listed, signal_of
from daedal.inference.skill import Skill
from daedal.inference.sound import Sound
from daedal.models.vocoder import Vocoder


class Vocode(Skill):
    """Makes sound of frames."""

    name = "vocode"
    learned: ClassVar[type[Vocoder]] = Vocoder
    needs = ("vocode",)
    verb = "make sound of frames"

    def copied(self, recordings: Recording | Sequence[Recording]) -> list[Sound]:
        """Recordings as they come back from their log-mel frames.

        Raises:
            DaedalError: one is no sound, or too long.
        """
        codec, model = self._subject.codec, self._subject.model
        given = [codec.samples(codec.encode(*signal_of(each))) for each in listed(recordings)]
        made = model.sounds([model.mel.encode(model.mel.lengthened(torch.from_numpy(each))) for each in given])
        return [Sound(copy[: len(each)].numpy(), codec.rate) for each, copy in zip(given, made, strict=True)]
