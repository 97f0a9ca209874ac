"""New pictures and pictures made of given ones: what a model of images and its codec draw."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.inference.abilities import Labels, Prompts
from daedal.inference.drawer import Chosen, Drawer, Progress
from daedal.inference.given import Given, Source, fit_mask
from daedal.inference.picture import Picture
from daedal.models.image import ImageSampling, Sketch
from daedal.nn.noise import Noise


@dataclass(frozen=True)
class Wish:
    """Pictures to draw: their chance, their classes or captions, and how."""

    noise: Noise
    labels: Chosen
    how: ImageSampling

    def fits(self, other: "Wish") -> bool:
        """Whether both can be drawn as one batch."""
        return self.how == other.how and (self.labels is None) == (other.labels is None)


@dataclass(frozen=True)
class Together:
    """Wishes whose pictures are being drawn as one batch."""

    wishes: Sequence[Wish]
    drawing: Iterator[Sketch]


@dataclass(frozen=True)
class Drawn:
    """Pictures of several wishes that are being drawn.

    Attributes:
        done: how much of the work is done; 1 at the end.
        show: what is known of each wish's pictures so far; at the end, the pictures.
    """

    done: float
    show: Callable[[], list[list[Picture]]]


class Painter(Drawer):
    """Draws pictures with a model, anew or in part."""

    def generate(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Labels = None,
        prompt: Prompts = None,
        first: int = 0,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Picture]:
        """`n` new pictures. Picture number i of a seed is the same whatever `n` and `first` are.

        Args:
            seed: drawn unless given, and told by the pictures.
            label: a class by name or number; several are taken in turn. A model of classes draws them unless given.
            prompt: what to draw, in words; several are taken in turn. A model of captions draws anything unless given.
            first: the number of the first picture.
            options: the fields of `ImageSampling` that the family honours.

        Raises:
            DaedalError: the family cannot do it, or there is no such class or option.
        """
        wish = self.wish(n, seed=seed, label=label, prompt=prompt, first=first, **options)
        drawn = self._draw(
            wish.noise, wish.labels, progress, lambda part, chosen: self.model.sample(part, chosen, wish.how)
        )
        return self._pictures(drawn, "generate", wish.noise.seed, first, wish.labels, wish.how)

    def wish(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Labels = None,
        prompt: Prompts = None,
        first: int = 0,
        **options: Any,
    ) -> Wish:
        """Pictures to draw, checked; see `generate`."""
        self.require("sample")
        how = self._abilities.options(options, prompt)
        noise = self._noise(seed, first, n)
        return Wish(noise, self._abilities.labels(label, prompt, noise), how)

    @torch.no_grad()
    def begin(self, wishes: Sequence[Wish]) -> Together:
        """Begin what several wish for, as one batch; all of them `fit` the first. What each gets is what `generate` draws for
        it alone."""
        noise = Noise.join([wish.noise for wish in wishes])
        labels = (
            None if wishes[0].labels is None else torch.cat([wish.labels for wish in wishes if wish.labels is not None])
        )
        return Together(wishes, self.model.drawing(noise, labels, wishes[0].how))

    @torch.no_grad()
    def go_on(self, several: Sequence[Together]) -> list[Drawn]:
        """Take the next step of each, together as far as the family can."""
        sketches = self.model.abreast([together.drawing for together in several])
        return [
            Drawn(sketch.done, partial(self._shown, together.wishes, sketch))
            for together, sketch in zip(several, sketches, strict=True)
        ]

    def _shown(self, wishes: Sequence[Wish], sketch: Sketch) -> list[list[Picture]]:
        pixels = iter(self.codec.decode_batch(sketch.show()))
        return [
            self._pictures(
                islice(pixels, wish.noise.count), "generate", wish.noise.seed, wish.noise.first, wish.labels, wish.how
            )
            for wish in wishes
        ]

    def vary(
        self,
        picture: Source | Given,
        n: int = 1,
        *,
        strength: float = 0.5,
        seed: int | None = None,
        first: int = 0,
        progress: Progress | None = None,
    ) -> list[Picture]:
        """`n` pictures like the given one: drawn anew in part, or, where a family cannot do that, from latents nearby.

        Args:
            strength: how far from it, from 0 to 1.

        Raises:
            DaedalError: the family can do neither, or the picture cannot be read.
        """
        if "edit" in self.capabilities:
            return self.edit(picture, None, n, strength=strength, seed=seed, first=first, progress=progress)
        self.require("interpolate")
        given, how = self.fit(picture), ImageSampling()
        noise = self._noise(seed, first, n)
        latent = self.encode([given])[0]

        def near(part: Noise, chosen: Chosen) -> Tensor:
            return self.model.decode(
                torch.stack([self.model.mix(latent, other, strength) for other in self.model.prior(part)])
            )

        drawn = self._draw(noise, None, progress, near)
        return self._pictures(drawn, "edit", noise.seed, first, None, how, [given.fingerprint] * n)

    def edit(
        self,
        picture: Source | Given,
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
        self.require("edit")
        how = self._abilities.options(options, prompt)
        noise = self._noise(seed, first, n)
        labels = self._abilities.given_labels(label, noise, prompt)
        given = self.fit(picture)
        anew = given.anew(None if mask is None else fit_mask(mask, self.codec, given), strength)
        image = self.codec.encode(given.pixels).to(self.device)
        known = torch.from_numpy(1 - anew).to(self.device)[None]

        def redraw(part: Noise, chosen: Chosen) -> Tensor:
            shown, kept = image.expand(part.count, -1, -1, -1), known.expand(part.count, -1, -1, -1)
            return torch.where(kept >= 1, shown, self.model.edit(shown, kept, part, chosen, how))

        source = hashlib.sha256(given.fingerprint.encode() + anew.tobytes()).hexdigest()
        drawn = self._draw(noise, labels, progress, redraw)
        return self._pictures(drawn, "edit", noise.seed, first, labels, how, [source] * n)

    def encode(
        self, pictures: Sequence[Source | Given], *, label: Labels = None, progress: Progress | None = None
    ) -> Float[Tensor, "batch *latent"]:
        """The model's latents of pictures.

        Raises:
            DaedalError: the family has none to interpolate between, or a picture cannot be read.
        """
        self.require("interpolate")
        given, images = self._read(pictures)

        def find(part: Noise, chosen: Chosen) -> Tensor:
            return self.model.encode(images[part.first : part.first + part.count].to(self.device), chosen)

        labels = self._given_labels(label, len(given))
        return torch.cat(list(self._in_batches(self._noise(0, 0, len(given)), labels, progress, find)))
