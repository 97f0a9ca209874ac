"""Pictures made of a given one: parts of it drawn anew, or others like it."""

import hashlib
from functools import cache
from typing import Any

import torch

from daedal.inference.conditions import Labels, Prompts
from daedal.inference.input_picture import AnyPicture, Source, fit_mask
from daedal.inference.picture import Picture
from daedal.inference.skills.draw import PictureRequest, RequestSkill
from daedal.inference.skills.pictures import Progress
from daedal.models.image import ImageSampling

VARIED = 0.5
"""How far from a picture those like it are, unless told otherwise."""


class Edit(RequestSkill):
    """A picture of which part is known, and the rest is drawn to fit it."""

    name = "edit"
    needs = ("edit",)
    verb = "edit"

    def edit(
        self,
        picture: AnyPicture,
        mask: Source | None = None,
        n: int = 1,
        *,
        progress: Progress | None = None,
        **asked: Any,
    ) -> list[Picture]:
        """`n` pictures that are the given one where the mask is black, and drawn anew to fit it where it is white or clear.

        Args:
            asked: as `request_edit` has it.
        """
        return self._carry_out(self.request_edit(picture, mask, n, **asked), progress)

    def request_edit(
        self,
        picture: AnyPicture,
        mask: Source | None = None,
        n: int = 1,
        *,
        strength: float = 1.0,
        seed: int | None = None,
        label: Labels = None,
        prompt: Prompts = None,
        first: int = 0,
        **options: Any,
    ) -> PictureRequest:
        """Pictures to draw from a given one, checked.

        Args:
            mask: a picture of the size of the given one, or of the model's; all is drawn anew unless given.
            strength: how little of the given picture is left where it is drawn anew: 1 nothing, 0.4 its layout and colours.
            label: a class by name or number; several are taken in turn. None is whatever fits.
            prompt: what to draw, in words; several are taken in turn. None is whatever fits.

        Raises:
            DaedalError: as `generate`, or a picture cannot be read, or the mask is of another size.
        """
        how, noise = self._how(options, prompt), self._noise(seed, first, n)
        labels = self._asked(label, noise, prompt)
        given = self.fit(picture)
        anew = given.anew(None if mask is None else fit_mask(mask, self._codec, given), strength)
        image = self._codec.encode(given.pixels).to(noise.device)
        known = torch.from_numpy(1 - anew).to(noise.device)[None]
        source = hashlib.sha256(given.fingerprint.encode() + anew.tobytes()).hexdigest()
        return PictureRequest(noise, labels, how, source, known=(image, known))


class Vary(RequestSkill):
    """Pictures like a given one: drawn anew in part, or, where a family cannot do that, from latents nearby."""

    name = "vary"
    needs = ("edit", "interpolate")

    def vary(self, picture: AnyPicture, n: int = 1, *, progress: Progress | None = None, **asked: Any) -> list[Picture]:
        """`n` pictures like the given one.

        Args:
            asked: as `request_vary` has it.
        """
        return self._carry_out(self.request_vary(picture, n, **asked), progress)

    def request_vary(
        self,
        picture: AnyPicture,
        n: int = 1,
        *,
        strength: float = VARIED,
        seed: int | None = None,
        first: int = 0,
    ) -> PictureRequest:
        """Pictures like a given one to draw, checked.

        Args:
            strength: how far from it, from 0 to 1.
        """
        if "edit" in self._subject.skills:
            return Edit(self._subject).request_edit(picture, None, n, strength=strength, seed=seed, first=first)
        given, noise = self.fit(picture), self._noise(seed, first, n)
        find = cache(lambda: self._of_each([given], lambda images, *_: self._model.encode(images))[1][0])
        return PictureRequest(noise, None, ImageSampling(), given.fingerprint, near=(find, strength))
