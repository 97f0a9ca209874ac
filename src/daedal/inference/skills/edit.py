"""Pictures made of a given one: parts of it drawn anew, or others like it."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from daedal.inference.conditions import Chosen, Labels, Prompts
from daedal.inference.input_picture import InputPicture, Source, fit_mask
from daedal.inference.picture import Picture
from daedal.inference.skills.draw import KnownPart, PictureRequest, RequestSkill
from daedal.inference.skills.pictures import PictureSkill, Progress
from daedal.models.image import ImageSampling
from daedal.nn.noise import Noise

VARIED = 0.5
"""How far from a picture those like it are, unless told otherwise."""


class Edit(RequestSkill):
    """A picture of which part is known, and the rest is drawn to fit it."""

    name = "edit"
    needs = ("edit",)
    verb = "edit"

    def edit(
        self,
        picture: Source | InputPicture,
        mask: Source | None = None,
        n: int = 1,
        *,
        strength: float = 1.0,
        seed: int | None = None,
        label: Labels = None,
        prompt: Prompts = None,
        first: int = 0,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Picture]:
        """`n` pictures that are the given one where the mask is black, and drawn anew to fit it where it is white or clear.

        Args:
            mask: a picture of the size of the given one, or of the model's; all is drawn anew unless given.
            strength: how little of the given picture is left where it is drawn anew: 1 nothing, 0.4 its layout and colours.
            label: a class by name or number; several are taken in turn. None is whatever fits.
            prompt: what to draw, in words; several are taken in turn. None is whatever fits.

        Raises:
            DaedalError: as `generate`, or a picture cannot be read, or the mask is of another size.
        """
        request = self.request_edit(
            picture, mask, n, strength=strength, seed=seed, label=label, prompt=prompt, first=first, **options
        )
        return self._carry_out(request, progress)

    def request_edit(
        self,
        picture: Source | InputPicture,
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
        """Pictures to draw from a given one, checked; see `edit`."""
        how, noise = self._how(options, prompt), self._noise(seed, first, n)
        labels = self._asked(label, noise, prompt)
        given = self.fit(picture)
        anew = given.anew(None if mask is None else fit_mask(mask, self._codec, given), strength)
        image = self._codec.encode(given.pixels).to(noise.device)
        known = torch.from_numpy(1 - anew).to(noise.device)[None]
        source = hashlib.sha256(given.fingerprint.encode() + anew.tobytes()).hexdigest()
        return PictureRequest(noise, labels, how, KnownPart(image, known, source))


class Vary(PictureSkill):
    """Pictures like a given one."""

    name = "vary"
    needs = ("edit", "interpolate")

    def vary(
        self,
        picture: Source | InputPicture,
        n: int = 1,
        *,
        strength: float = VARIED,
        seed: int | None = None,
        first: int = 0,
        progress: Progress | None = None,
    ) -> list[Picture]:
        """`n` pictures like the given one: drawn anew in part, or, where a family cannot do that, from latents nearby.

        Args:
            strength: how far from it, from 0 to 1.

        Raises:
            DaedalError: the picture cannot be read.
        """
        if Edit.fits(self._subject):
            edit = Edit(self._subject).edit
            return edit(picture, None, n, strength=strength, seed=seed, first=first, progress=progress)
        given, noise = self.fit(picture), self._noise(seed, first, n)
        _, (latent,) = self._of_each([given], lambda images, _, __: self._model.encode(images))

        def near(part: Noise, chosen: Chosen) -> Tensor:
            return self._model.decode(
                torch.stack([self._model.mix(latent, other, strength) for other in self._model.prior(part)])
            )

        drawn = self._draw(noise, None, progress, near)
        return self._pictures(drawn, "edit", noise.seed, first, None, ImageSampling(), [given.fingerprint] * n)
