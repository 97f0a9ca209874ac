"""A model of images and its codec together: draws, morphs, edits, reconstructs and scores pictures."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal import __version__
from daedal.codecs.raster import to_image
from daedal.errors import DaedalError
from daedal.inference.abilities import Label, Labels
from daedal.inference.clip import Clip, ClipProvenance, shown_at
from daedal.inference.drawer import Chosen, Progress
from daedal.inference.input_picture import Given, Source
from daedal.inference.painter import Painter
from daedal.inference.reconstruction import PictureScore, Reconstruction
from daedal.models.coded import TokenModel
from daedal.models.directions import attribute_direction, principal_directions
from daedal.models.image import ImageBatch, ImageSampling
from daedal.nn.noise import Noise

Point = int | Source | Given
"""A place among a model's latents: that of the first picture of a seed, or of a given picture."""


class ImageGenerator(Painter):
    """Draws pictures with a model.

    Args:
        classes: the names of the labels that condition it.
    """

    def caption(
        self,
        pictures: Sequence[Source | Given],
        *,
        seed: int = 0,
        temperature: float = 0.0,
        progress: Progress | None = None,
    ) -> list[str]:
        """What each picture shows, in words.

        Args:
            temperature: 0 takes the likeliest word each time; 1 draws them as the model finds them likely.

        Raises:
            DaedalError: the model learned no captions, or a picture cannot be read.
        """
        self.require("caption")
        captions = self.captions
        assert isinstance(self.model, TokenModel)
        assert captions is not None
        model, (given, images) = self.model, self._read(pictures)

        def tell(part: Noise, chosen: Chosen) -> Tensor:
            return model.caption(images[part.first : part.first + part.count].to(self.device), part, temperature)

        rows = torch.cat(list(self._in_batches(self._noise(seed, 0, len(given)), None, progress, tell)))
        return [captions.decode(row) for row in rows]

    def caption_log_likelihood(self, text: str, pictures: Sequence[Source | Given]) -> Float[Tensor, " pictures"]:
        """How likely the model would say a text of each picture, in nats.

        Raises:
            DaedalError: the model learned no captions, the text says nothing, or a picture cannot be read.
        """
        self.require("caption")
        assert isinstance(self.model, TokenModel)
        model, (given, images) = self.model, self._read(pictures)
        words = self._texts([text]).expand(len(given), -1)

        def tell(part: Noise, chosen: Chosen) -> Tensor:
            assert chosen is not None
            return model.caption_log_likelihood(images[part.first : part.first + part.count].to(self.device), chosen)

        return torch.cat(list(self._in_batches(self._noise(0, 0, len(given)), words, None, tell)))

    def choose(self, text: str, pictures: Sequence[Source | Given]) -> int:
        """The place of the picture of which the model would most likely say the text.

        Raises:
            DaedalError: as `caption_log_likelihood`.
        """
        return int(self.caption_log_likelihood(text, pictures).argmax())

    # -- clips ---------------------------------------------------------------------------------------------------------

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
            self.model.mix(latents[leg], latents[leg + 1], place - leg) for leg, place in zip(legs, places, strict=True)
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
        self, pictures: Sequence[Source | Given], most: int = 8, *, label: Labels = None
    ) -> Float[Tensor, "directions *latent"]:
        """The directions in which the latents of pictures differ most, the largest first, each a standard deviation long.

        Raises:
            DaedalError: the family has no latents of pictures, or there is only one picture.
        """
        return principal_directions(self.encode(pictures, label=label), most)

    @torch.no_grad()
    def attribute(
        self, having: Sequence[Source | Given], lacking: Sequence[Source | Given]
    ) -> Float[Tensor, "*latent"]:
        """The direction from the average picture that lacks something to the average one that has it.

        Raises:
            DaedalError: the family has no latents of pictures, or one kind is missing.
        """
        latents = self.encode([*having, *lacking])
        return attribute_direction(latents, torch.arange(len(latents), device=latents.device) < len(having))

    # -- given pictures ------------------------------------------------------------------------------------------------

    def reconstruct(
        self, pictures: Sequence[Source | Given], *, label: Labels = None, progress: Progress | None = None
    ) -> list[Reconstruction]:
        """Each picture as it comes through the model's latents, and how far off it is.

        Raises:
            DaedalError: the family cannot do it, or a picture cannot be read.
        """
        self.require("reconstruct")
        given, images = self._read(pictures)
        labels = self._given_labels(label, len(given))

        def through(part: Noise, chosen: Chosen) -> Tensor:
            return self.model.reconstruct(images[part.first : part.first + part.count].to(self.device), chosen)

        drawn = list(self._draw(self._noise(0, 0, len(given)), labels, progress, through))
        sources = [one.fingerprint for one in given]
        back = self._pictures(iter(drawn), "reconstruct", None, 0, labels, ImageSampling(), sources)
        errors = [
            np.square((one.pixels.astype(np.float64) - pixels) / 255).mean()
            for one, pixels in zip(given, drawn, strict=True)
        ]
        return [Reconstruction(*entry) for entry in zip(given, back, map(float, errors), strict=True)]

    def score(
        self,
        pictures: Sequence[Source | Given],
        *,
        label: Labels = None,
        samples: int = 1,
        progress: Progress | None = None,
    ) -> list[PictureScore]:
        """How likely the model finds each picture.

        Args:
            samples: more make a bound tighter, where the likelihood is bounded.

        Raises:
            DaedalError: the family has no likelihood, or a picture cannot be read.
        """
        self.require("score")
        given, images = self._read(pictures)
        labels = self._given_labels(label, len(given))

        def likelihood(part: Noise, chosen: Chosen) -> Tensor:
            shown = images[part.first : part.first + part.count].to(self.device)
            known, _, _ = self.model.condition(part.count, chosen, ImageSampling())
            return self.model.log_likelihood(ImageBatch(shown, known, part), samples)

        batches = self._in_batches(self._noise(0, 0, len(given)), labels, progress, likelihood)
        bits = math.log(2) * math.prod(self.codec.shape)
        return [
            PictureScore(log_likelihood=nats, bits_per_dimension=-nats / bits)
            for batch in batches
            for nats in batch.double().tolist()
        ]

    # -- parts of clips ------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _places(
        self, points: Sequence[Point], label: Label | None, options: dict[str, Any]
    ) -> tuple[ImageSampling, Chosen, list[int | Given], list[Float[Tensor, "*latent"]]]:
        """How to draw, the one class of all, the points as they are known, and their latents."""
        self.require("interpolate")
        how = self._abilities.options(options)
        if how.churn:
            raise DaedalError("Frames that each have fresh noise do not make a clip", "Leave churn out")
        openings = [self._noise(point, 0, 1) for point in points if isinstance(point, int)]
        if len(openings) < len(points):
            how = self.model.inverted.but(**how.model_dump(exclude_none=True))
        if openings:
            self.require("sample")
        labels = self._abilities.labels(label, None, openings[0]) if openings else self._given_labels(label, 1)
        known = [point if isinstance(point, int) else self.fit(point) for point in points]
        return how, labels, known, [self._latent(point, labels, how) for point in known]

    def _latent(self, point: int | Given, labels: Chosen, how: ImageSampling) -> Float[Tensor, "*latent"]:
        """The latent of the first picture of a seed, or of a given picture."""
        if isinstance(point, int):
            return self.model.prior(self._noise(point, 0, 1))[0]
        return self.model.encode(self.codec.encode(point.pixels)[None].to(self.device), labels, how)[0]

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
            return self.model.decode(torch.stack(list(path[part.first : part.first + part.count])), chosen, how)

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
        self._require_room(frames, shown_at(self.codec.width, self.codec.height))
        return frames

    def _clip_provenance(
        self, known: Sequence[int | Given], labels: Chosen, how: ImageSampling, **more: Any
    ) -> ClipProvenance:
        return ClipProvenance(
            model=self.name,
            fingerprint=self.fingerprint,
            points=tuple(point if isinstance(point, int) else point.fingerprint for point in known),
            label=None if labels is None else self._label(labels[0]),
            options=how,
            version=__version__,
            **more,
        )
