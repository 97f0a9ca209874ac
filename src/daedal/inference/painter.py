"""New pictures and pictures made of given ones: what a model of images and its codec draw."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from daedal.inference.abilities import Labels, Prompts
from daedal.inference.drawer import Array, Chosen, Drawer, Progress
from daedal.inference.input_picture import Given, Source, fit_mask
from daedal.inference.picture import Picture
from daedal.models.image import ImageSampling, Sketch
from daedal.nn.noise import Noise

VARIED = 0.5
"""How far from a picture those like it are, unless told otherwise."""


@dataclass(frozen=True)
class Kept:
    """A picture of which something stays.

    Attributes:
        known: where it stays as it is, 1; where nothing of it does, 0.
        source: what tells this picture with this mask from any other.
    """

    image: Float[Tensor, "channels height width"]
    known: Float[Tensor, "1 height width"]
    source: str

    @property
    def least(self) -> float:
        """How much is known of what is drawn anew: from there a family may begin, which those of a batch do together."""
        return float(self.known.min())

    def repeated(self, count: int) -> tuple[Tensor, Tensor]:
        """The picture and what is known of it, for a batch."""
        return self.image.expand(count, -1, -1, -1), self.known.expand(count, -1, -1, -1)


@dataclass(frozen=True)
class Wish:
    """Pictures to draw: their chance, their classes or captions, how, and from which picture where from one."""

    noise: Noise
    labels: Chosen
    how: ImageSampling
    kept: Kept | None = None

    def fits(self, other: "Wish") -> bool:
        """Whether both can be drawn as one batch."""
        least, others = (None if wish.kept is None else wish.kept.least for wish in (self, other))
        return (self.labels is None) == (other.labels is None) and least == others and self.how == other.how

    def part(self, start: int, stop: int) -> "Wish":
        """Some of its pictures."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, noise=self.noise.part(start, stop), labels=labels)


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
        return self._carry_out(self.wish(n, seed=seed, label=label, prompt=prompt, first=first, **options), progress)

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
        """Begin what several wish for, as one batch; all of them `fit` the first. What each gets is what `generate` or `edit`
        draws for it alone."""
        noise, how = Noise.join([wish.noise for wish in wishes]), wishes[0].how
        labels = [wish.labels for wish in wishes if wish.labels is not None]
        kept = [wish.kept.repeated(wish.noise.count) for wish in wishes if wish.kept is not None]
        told = torch.cat(labels) if labels else None
        if not kept:
            return Together(wishes, self.model.drawing(noise, told, how))
        images, known = (torch.cat(parts) for parts in zip(*kept, strict=True))
        return Together(wishes, self.model.editing(images, known, noise, told, how))

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
        return [self._wished(wish, islice(pixels, wish.noise.count)) for wish in wishes]

    def _carry_out(self, wish: Wish, progress: Progress | None) -> list[Picture]:
        def work(part: Noise, chosen: Chosen) -> Tensor:
            if wish.kept is None:
                return self.model.sample(part, chosen, wish.how)
            return self.model.edit(*wish.kept.repeated(part.count), part, chosen, wish.how)

        return self._wished(wish, self._draw(wish.noise, wish.labels, progress, work))

    def _wished(self, wish: Wish, drawn: Iterable[UInt8[Array, "height width channels"]]) -> list[Picture]:
        """What was drawn for a wish."""
        noise, kept = wish.noise, wish.kept
        sources = None if kept is None else [kept.source] * noise.count
        task: Literal["generate", "edit"] = "generate" if kept is None else "edit"
        return self._pictures(drawn, task, noise.seed, noise.first, wish.labels, wish.how, sources)

    def vary(
        self,
        picture: Source | Given,
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
        wish = self.wish_edit(
            picture, mask, n, strength=strength, seed=seed, label=label, prompt=prompt, first=first, **options
        )
        return self._carry_out(wish, progress)

    def wish_edit(
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
        **options: Any,
    ) -> Wish:
        """Pictures to draw from a given one, checked; see `edit`."""
        self.require("edit")
        how = self._abilities.options(options, prompt)
        noise = self._noise(seed, first, n)
        labels = self._abilities.given_labels(label, noise, prompt)
        given = self.fit(picture)
        anew = given.anew(None if mask is None else fit_mask(mask, self.codec, given), strength)
        image = self.codec.encode(given.pixels).to(self.device)
        known = torch.from_numpy(1 - anew).to(self.device)[None]
        source = hashlib.sha256(given.fingerprint.encode() + anew.tobytes()).hexdigest()
        return Wish(noise, labels, how, Kept(image, known, source))

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
