"""Sounds that a model of pictures draws as log-mel frames."""

from typing import Any, ClassVar

import numpy as np

from daedal.codecs.mel_pictures import MelPictures
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.inference.skills.draw import Draw
from daedal.inference.sound import Sound
from daedal.models.image import ImageModel


class DrawSounds(Skill):
    """Draws sounds."""

    name = "draw-sounds"
    learned: ClassVar[type[ImageModel]] = ImageModel
    needs = ("sample",)

    @classmethod
    def fits(cls, subject: ModelAndCodec) -> bool:
        return super().fits(subject) and isinstance(subject.codec, MelPictures)

    def draw_sounds(self, n: int = 1, **asked: Any) -> list[Sound]:
        """`n` sounds; each with the record of the picture that it is made of.

        Args:
            asked: what may be asked of pictures: `label`, `seed`, `first`, ...

        Raises:
            DaedalError: as `Draw.generate`.
        """
        codec: MelPictures = self._subject.codec
        drawn = Draw(self._subject).generate(n, **asked)
        shape = (codec.height, codec.width, 1)
        pixels = [np.asarray(each.image, dtype=np.uint8).reshape(shape) for each in drawn]
        return [Sound(codec.sound(one), codec.rate, each.provenance) for one, each in zip(pixels, drawn, strict=True)]
