"""Clips from picture to picture and along directions, through a model's latents."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.codecs.raster import to_image
from daedal.errors import DaedalError
from daedal.inference.clip import Clip, shown_at
from daedal.inference.conditions import Chosen, Label, Labels
from daedal.inference.input_picture import AnyPicture, InputPicture
from daedal.inference.provenance import ClipProvenance
from daedal.inference.skills.pictures import PictureSkill, Progress
from daedal.models.directions import attribute_direction, principal_directions
from daedal.models.image import ImageSampling
from daedal.nn.noise import Noise

Point = int | AnyPicture
"""A place among a model's latents: that of the first picture of a seed, or of a given picture."""


class Morph(PictureSkill):
    """Clips through a model's latents, and the latents of pictures."""

    name = "morph"
    needs = ("interpolate",)
    verb = "interpolate"

    def encode(
        self, pictures: Sequence[AnyPicture], *, label: Labels = None, progress: Progress | None = None
    ) -> Float[Tensor, "batch *latent"]:
        """The model's latents of pictures."""
        return self._of_each(pictures, lambda images, _, chosen: self._model.encode(images, chosen), label, progress)[1]

    def interpolate(
        self,
        points: Sequence[Point],
        frames: int = 30,
        *,
        fps: float = 15,
        loop: bool = False,
        label: Label | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Clip:
        """A clip that goes from point to point through the model's latents.

        Args:
            points: seeds, whose first picture is meant, or pictures, which come through the model's latents.
            loop: go back to the first point, and end just before it, so that the clip can be shown round and round.
            label: a class by name or number; that of the first seed unless given.
            options: the fields of `ImageSampling` that the family honours.

        Raises:
            DaedalError: the family cannot do it, or there are too few points or frames.
        """
        if len(points) < 2:
            raise DaedalError("There is nothing to interpolate between", "Give at least two seeds or pictures")
        how, labels, known, latents = self._places(points, label, options)
        latents += latents[:1] if loop else []
        places = np.linspace(0, len(latents) - 1, self._enough(frames), endpoint=not loop).tolist()
        legs = [min(int(place), len(latents) - 2) for place in places]
        path = [
            self._model.mix(latents[leg], latents[leg + 1], place - leg)
            for leg, place in zip(legs, places, strict=True)
        ]
        return self._film(path, labels, how, fps, progress, self._clip_provenance(known, labels, how, loop=loop))

    def walk(
        self,
        point: Point,
        direction: Float[Tensor, "*latent"],
        frames: int = 15,
        *,
        reach: float = 2.0,
        fps: float = 15,
        label: Label | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Clip:
        """A clip along a direction: from `reach` times the direction before the point to `reach` times behind it.

        Args:
            direction: as `directions` or `attribute` gives it.

        Raises:
            DaedalError: the family cannot do it, the direction is of another space, or there are too few frames.
        """
        how, labels, known, (latent,) = self._places([point], label, options)
        if direction.shape != latent.shape:
            raise DaedalError(
                f"The direction has shape {list(direction.shape)} and the latents {list(latent.shape)}",
                "Find it with the same model",
            )
        step = direction.to(latent)
        path = [latent + amount * step for amount in np.linspace(-reach, reach, self._enough(frames)).tolist()]
        digest = hashlib.sha256((reach * step).cpu().contiguous().numpy().tobytes()).hexdigest()
        provenance = self._clip_provenance(known, labels, how, direction=digest)
        return self._film(path, labels, how, fps, progress, provenance)

    @torch.no_grad()
    def directions(
        self, pictures: Sequence[AnyPicture], most: int = 8, *, label: Labels = None
    ) -> Float[Tensor, "directions *latent"]:
        """The directions in which the latents of pictures differ most, the largest first, each a standard deviation long.

        Raises:
            DaedalError: the family has no latents of pictures, or there is only one picture.
        """
        return principal_directions(self.encode(pictures, label=label), most)

    @torch.no_grad()
    def attribute(self, having: Sequence[AnyPicture], lacking: Sequence[AnyPicture]) -> Float[Tensor, "*latent"]:
        """The direction from the average picture that lacks something to the average one that has it.

        Raises:
            DaedalError: the family has no latents of pictures, or one kind is missing.
        """
        latents = self.encode([*having, *lacking])
        return attribute_direction(latents, torch.arange(len(latents), device=latents.device) < len(having))

    @torch.no_grad()
    def _places(
        self, points: Sequence[Point], label: Label | None, options: dict[str, Any]
    ) -> tuple[ImageSampling, Chosen, list[int | InputPicture], list[Float[Tensor, "*latent"]]]:
        """How to draw, the one class of all, the points as they are known, and their latents."""
        how = self._how(options)
        if how.churn:
            raise DaedalError("Frames that each have fresh noise do not make a clip", "Leave churn out")
        openings = [self._noise(point, 0, 1) for point in points if isinstance(point, int)]
        if len(openings) < len(points):
            how = self._model.inverted.but(**how.model_dump(exclude_none=True))
        if openings:
            self._subject.require("sample")
        labels = self._asked(label, (openings or [self._noise(0, 0, 1)])[0], draws=bool(openings))
        known = [point if isinstance(point, int) else self.fit(point) for point in points]
        return how, labels, known, [self._latent(point, labels, how) for point in known]

    def _latent(self, point: int | InputPicture, labels: Chosen, how: ImageSampling) -> Float[Tensor, "*latent"]:
        """The latent of the first picture of a seed, or of a given picture."""
        if isinstance(point, int):
            return self._model.prior(self._noise(point, 0, 1))[0]
        return self._model.encode(self._codec.encode(point.pixels)[None].to(self._subject.device), labels, how)[0]

    def _film(
        self,
        path: Sequence[Float[Tensor, "*latent"]],
        labels: Chosen,
        how: ImageSampling,
        fps: float,
        progress: Progress | None,
        provenance: ClipProvenance,
    ) -> Clip:
        """The pictures of latents, as a clip."""

        def show(part: Noise, chosen: Chosen) -> Tensor:
            return self._model.decode(torch.stack(list(path[part.first : part.first + part.count])), chosen, how)

        every = None if labels is None else labels.expand(len(path))
        drawn = self._draw(self._noise(0, 0, len(path)), every, progress, show)
        return Clip(tuple(to_image(pixels) for pixels in drawn), fps, provenance)

    def _enough(self, frames: int) -> int:
        """
        Raises:
            DaedalError: so many frames go nowhere, or are more than can be held.
        """
        if frames < 2:
            raise DaedalError(f"frames is {frames}: too few to go anywhere", "Ask for at least 2")
        self._require_room(frames, shown_at(self._codec.width, self._codec.height))
        return frames

    def _clip_provenance(
        self, known: Sequence[int | InputPicture], labels: Chosen, how: ImageSampling, **more: Any
    ) -> ClipProvenance:
        return self._subject.signed(
            ClipProvenance,
            points=tuple(point if isinstance(point, int) else point.fingerprint for point in known),
            label=None if labels is None else self._conditions.said(labels[0]),
            options=how,
            **more,
        )
