"""A model of images and its codec together: draws, morphs, edits, reconstructs and scores pictures."""

import hashlib
import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from daedal import __version__
from daedal.codecs.image import PixelCodec
from daedal.codecs.raster import to_image
from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.inference.abilities import Abilities, Label, Labels
from daedal.inference.clip import Clip, ClipProvenance
from daedal.inference.given import Given, Source, fit, fit_mask
from daedal.inference.picture import Picture, PictureProvenance
from daedal.inference.reconstruction import PictureScore, Reconstruction
from daedal.inference.scoring import fingerprint
from daedal.models.checkpoint import load_model, resolve
from daedal.models.image import ImageBatch, ImageModel, ImageSampling
from daedal.models.model import Capability
from daedal.nn.noise import Noise
from daedal.training.machine import choose_device

Progress = Callable[[int, int], None]
"""Told how many pictures are done, and of how many."""
_Chosen = Int[Tensor, " batch"] | None
_Work = Callable[[Noise, _Chosen], Tensor]

_BATCH = 64
"""Pictures at a time; what a picture is does not depend on it."""


class ImageGenerator:
    """Draws pictures with a model.

    Args:
        classes: the names of the labels that condition it.
    """

    def __init__(
        self, model: ImageModel, codec: PixelCodec, name: str = "model", *, classes: Sequence[str] = ()
    ) -> None:
        if codec.shape != model.config.shape:
            raise DaedalError(
                f"The codec's pictures are {codec.shape} and the model's {model.config.shape} (channels, height, width)",
                "Use the codec that the model was trained with",
            )
        self.model, self.codec, self.name = model.eval(), codec, name
        self._abilities = Abilities(model, name, classes)

    @classmethod
    def open(cls, folder_or_hub_id: Path | str, device: torch.device | str | None = None) -> Self:
        """The model in a run folder, or of a Hugging Face id.

        Args:
            device: a GPU if there is one, unless given.

        Raises:
            DaedalError: a file is missing, damaged or hostile, there is no such device, or it is no model of images.
        """
        folder = resolve(folder_or_hub_id)
        model = load_model(folder, device=choose_device(None if device is None else str(device)))
        if not isinstance(model, ImageModel):
            raise DaedalError(f"{folder_or_hub_id} is not a model of images", "Open it with its own family's tools")
        classes = read_json(folder / "config.json").get("class_names")
        return cls(model, PixelCodec.load(folder), str(folder_or_hub_id), classes=classes or ())

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the model can do; `class` only where it was trained with classes."""
        return self._abilities.capabilities

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels that condition the model."""
        return self._abilities.classes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self.model)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def fit(self, picture: Source | Given) -> Given:
        """A picture as the model sees it: of its size and mode, by the rule of its training data; `note` tells of changes.

        Raises:
            DaedalError: it is missing, damaged, huge, animated or no picture.
        """
        return fit(picture, self.codec)

    # -- new pictures --------------------------------------------------------------------------------------------------

    def generate(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        label: Labels = None,
        first: int = 0,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Picture]:
        """`n` new pictures. Picture number i of a seed is the same whatever `n` and `first` are.

        Args:
            seed: drawn unless given, and told by the pictures.
            label: a class by name or number; several are taken in turn. A model of classes draws them unless given.
            first: the number of the first picture.
            options: the fields of `ImageSampling` that the family honours.

        Raises:
            DaedalError: the family cannot do it, or there is no such class or option.
        """
        self._abilities.require("sample")
        how = self._abilities.options(options)
        noise = self._noise(seed, first, n)
        labels = self._abilities.labels(label, noise)
        drawn = self._draw(noise, labels, progress, lambda part, chosen: self.model.sample(part, chosen, how))
        return self._pictures(drawn, "generate", noise.seed, first, labels, how)

    def edit(
        self,
        picture: Source | Given,
        mask: Source | None = None,
        n: int = 1,
        *,
        strength: float = 1.0,
        seed: int | None = None,
        label: Labels = None,
        first: int = 0,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Picture]:
        """`n` pictures that are the given one where the mask is black, and drawn anew to fit it where it is white or clear.

        Args:
            mask: a picture of the size of the given one, or of the model's; all is drawn anew unless given.
            strength: how little of the given picture is left where it is drawn anew: 1 nothing, 0.4 its layout and colours.
            label: a class by name or number; several are taken in turn. None is whatever fits.

        Raises:
            DaedalError: as `generate`, or a picture cannot be read, or the mask is of another size.
        """
        self._abilities.require("edit")
        how = self._abilities.options(options)
        noise = self._noise(seed, first, n)
        labels = self._abilities.given_labels(label, noise)
        given = self.fit(picture)
        anew = given.anew(None if mask is None else fit_mask(mask, self.codec, given), strength)
        image = self.codec.encode(given.pixels).to(self.device)
        known = torch.from_numpy(1 - anew).to(self.device)[None]

        def redraw(part: Noise, chosen: _Chosen) -> Tensor:
            shown, kept = image.expand(part.count, -1, -1, -1), known.expand(part.count, -1, -1, -1)
            return torch.where(kept >= 1, shown, self.model.edit(shown, kept, part, chosen, how))

        source = hashlib.sha256(given.fingerprint.encode() + anew.tobytes()).hexdigest()
        drawn = self._draw(noise, labels, progress, redraw)
        return self._pictures(drawn, "edit", noise.seed, first, labels, how, [source] * n)

    def interpolate(
        self,
        points: Sequence[int | Source | Given],
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
            loop: end just before the first point, so that the clip can be shown round and round.
            label: a class by name or number; that of the first seed unless given.
            options: the fields of `ImageSampling` that the family honours.

        Raises:
            DaedalError: the family cannot do it, or there are too few points or frames.
        """
        self._abilities.require("interpolate")
        seeds = [point for point in points if isinstance(point, int)]
        if seeds:
            self._abilities.require("sample")
        if len(points) < 2:
            raise DaedalError("There is nothing to interpolate between", "Give at least two seeds or pictures")
        if frames < 2:
            raise DaedalError(f"frames is {frames}: too few to go anywhere", "Ask for at least 2")
        how = self._abilities.options(options)
        openings = [self._noise(seed, 0, 1) for seed in seeds]
        labels = self._abilities.labels(label, openings[0]) if openings else self._given_labels(label, 1)
        known = [point if isinstance(point, int) else self.fit(point) for point in points]
        with torch.no_grad():
            latents = [self._latent(point, labels, how) for point in known]
            latents += latents[:1] if loop else []
            places = np.linspace(0, len(latents) - 1, frames, endpoint=not loop).tolist()
            legs = [min(int(place), len(latents) - 2) for place in places]
            mixed = [
                self.model.mix(latents[leg], latents[leg + 1], place - leg)
                for leg, place in zip(legs, places, strict=True)
            ]

        def show(part: Noise, chosen: _Chosen) -> Tensor:
            return self.model.decode(torch.stack(mixed[part.first : part.first + part.count]), chosen, how)

        drawn = self._draw(self._noise(0, 0, frames), None if labels is None else labels.expand(frames), progress, show)
        provenance = ClipProvenance(
            model=self.name,
            fingerprint=self.fingerprint,
            points=tuple(point if isinstance(point, int) else point.fingerprint for point in known),
            loop=loop,
            label=None if labels is None else self._label(int(labels[0])),
            options=how,
            version=__version__,
        )
        return Clip(tuple(to_image(pixels) for pixels in drawn), fps, provenance)

    # -- given pictures ------------------------------------------------------------------------------------------------

    def reconstruct(
        self, pictures: Sequence[Source | Given], *, label: Labels = None, progress: Progress | None = None
    ) -> list[Reconstruction]:
        """Each picture as it comes through the model's latents, and how far off it is.

        Raises:
            DaedalError: the family cannot do it, or a picture cannot be read.
        """
        self._abilities.require("reconstruct")
        given, images = self._read(pictures)
        labels = self._given_labels(label, len(given))

        def through(part: Noise, chosen: _Chosen) -> Tensor:
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
        self._abilities.require("score")
        given, images = self._read(pictures)
        labels = self._given_labels(label, len(given))

        def likelihood(part: Noise, chosen: _Chosen) -> Tensor:
            shown = images[part.first : part.first + part.count].to(self.device)
            unknown = torch.full((part.count,), -1, device=self.device)
            return self.model.log_likelihood(ImageBatch(shown, unknown if chosen is None else chosen, part), samples)

        batches = self._in_batches(self._noise(0, 0, len(given)), labels, progress, likelihood)
        bits = math.log(2) * math.prod(self.codec.shape)
        return [
            PictureScore(log_likelihood=nats, bits_per_dimension=-nats / bits)
            for batch in batches
            for nats in batch.double().tolist()
        ]

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _noise(self, seed: int | None, first: int, n: int) -> Noise:
        """The random numbers of `n` pictures; a seed is drawn where none is given, so that they can be drawn again."""
        if n < 1 or first < 0:
            raise DaedalError(f"{n} pictures from number {first} are none", "Ask for at least one, counted from 0")
        if seed is not None and not 0 <= seed < 2**63:
            raise DaedalError(f"There is no seed {seed}", "Give a whole number from 0")
        return Noise(secrets.randbits(32) if seed is None else seed, first, n, self.device)

    def _read(self, pictures: Sequence[Source | Given]) -> tuple[list[Given], Float[Tensor, "batch c h w"]]:
        given = [self.fit(picture) for picture in pictures]
        if not given:
            raise DaedalError("No picture is given", "Name at least one")
        return given, self.codec.encode_batch(np.stack([one.pixels for one in given]))

    def _given_labels(self, label: Labels, count: int) -> _Chosen:
        return self._abilities.given_labels(label, self._noise(0, 0, count))

    def _label(self, number: int) -> str | None:
        return self.classes[number] if number >= 0 else None

    def _latent(self, point: int | Given, labels: _Chosen, how: ImageSampling) -> Float[Tensor, "*latent"]:
        """The latent of the first picture of a seed, or of a given picture."""
        if isinstance(point, int):
            return self.model.prior(self._noise(point, 0, 1))[0]
        return self.model.encode(self.codec.encode(point.pixels)[None].to(self.device), labels, how)[0]

    @torch.no_grad()
    def _in_batches(self, noise: Noise, labels: _Chosen, progress: Progress | None, work: _Work) -> Iterator[Tensor]:
        """What `work` gives for each batch of the noise's examples."""
        for start in range(0, noise.count, _BATCH):
            stop = min(start + _BATCH, noise.count)
            yield work(noise.part(start, stop), None if labels is None else labels[start:stop])
            if progress is not None:
                progress(stop, noise.count)

    def _draw(
        self, noise: Noise, labels: _Chosen, progress: Progress | None, work: _Work
    ) -> Iterator[UInt8[np.ndarray, "height width channels"]]:
        """The pixels of each picture that `work` gives."""
        for batch in self._in_batches(noise, labels, progress, work):
            yield from self.codec.decode_batch(batch)

    def _pictures(
        self,
        drawn: Iterator[UInt8[np.ndarray, "height width channels"]],
        task: Literal["generate", "edit", "reconstruct"],
        seed: int | None,
        first: int,
        labels: _Chosen,
        how: ImageSampling,
        sources: Sequence[str] | None = None,
    ) -> list[Picture]:
        """The pictures of pixels, each with where it comes from."""
        return [
            Picture(
                to_image(pixels),
                PictureProvenance(
                    model=self.name,
                    fingerprint=self.fingerprint,
                    task=task,
                    seed=seed,
                    number=first + i,
                    label=None if labels is None else self._label(int(labels[i])),
                    source=None if sources is None else sources[i],
                    options=how,
                    version=__version__,
                ),
            )
            for i, pixels in enumerate(drawn)
        ]
