"""A model of images with its codec, and what everything that it draws has in common: chance, classes, batches, provenance."""

import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from daedal import __version__
from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec, tidy
from daedal.codecs.image import PixelCodec
from daedal.codecs.raster import to_image
from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.inference.abilities import Abilities, Labels
from daedal.inference.input_picture import Given, Source, fit
from daedal.inference.picture import Picture, PictureProvenance
from daedal.inference.scoring import fingerprint
from daedal.memory import require_memory
from daedal.models.checkpoint import load_model, resolve
from daedal.models.image import ImageModel, ImageSampling
from daedal.models.model import Capability
from daedal.nn.noise import Noise
from daedal.training.machine import choose_device

Array = np.ndarray
Progress = Callable[[int, int], None]
"""Told how many pictures are done, and of how many."""
Chosen = Int[Tensor, "batch *window"] | None
"""The class of each picture of a batch, or the ids of its caption."""
Work = Callable[[Noise, Chosen], Tensor]
"""Draws a batch: the pictures that the noise belongs to, of these classes."""

_BATCH, _BATCH_ON_GPU = 32, 256
"""Pictures at a time; what a picture is does not depend on it. On a CPU more are hardly faster, and tell less often."""

_RECORD = 2000
"""Bytes that a picture takes beside its pixels."""


class Drawer:
    """A model of images and its codec.

    Args:
        classes: the names of the labels that condition it.
        captions: the codec of the captions that condition it.
    """

    def __init__(
        self,
        model: ImageModel,
        codec: PixelCodec,
        name: str = "model",
        *,
        classes: Sequence[str] = (),
        captions: CaptionCodec | None = None,
    ) -> None:
        if codec.shape != model.config.shape:
            raise DaedalError(
                f"The codec's pictures are {codec.shape} and the model's {model.config.shape} (channels, height, width)",
                "Use the codec that the model was trained with",
            )
        self.model, self.codec, self.name = model.eval(), codec, name
        self._abilities = Abilities(model, name, classes, captions)

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
        classes = read_json(folder / "config.json").get("class_names") or []
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise DaedalError(f"{folder / 'config.json'}: class_names is no list of names", "Restore it from a copy")
        captions = CaptionCodec.load(folder) if (folder / CAPTION_CODEC).is_file() else None
        return cls(model, PixelCodec.load(folder), str(folder_or_hub_id), classes=classes, captions=captions)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the model can do; `class` only where it was trained with classes."""
        return self._abilities.capabilities

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels that condition the model."""
        return self._abilities.classes

    @property
    def captions(self) -> CaptionCodec | None:
        """The codec of the captions that the model draws, where it does."""
        return self._abilities.captions

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self.model)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def require(self, capability: Capability) -> None:
        """Make sure that the model can do something.

        Raises:
            DaedalError: it cannot; the line says what it can.
        """
        self._abilities.require(capability)

    def fit(self, picture: Source | Given) -> Given:
        """A picture as the model sees it: of its size and mode, by the rule of its training data; `note` tells of changes.

        Raises:
            DaedalError: it is missing, damaged, huge or no picture.
        """
        return fit(picture, self.codec)

    # -- parts of every drawing ----------------------------------------------------------------------------------------

    def _noise(self, seed: int | None, first: int, n: int) -> Noise:
        """The random numbers of `n` pictures; a seed is drawn where none is given, so that they can be drawn again."""
        if n < 1 or first < 0:
            raise DaedalError(f"{n} pictures from number {first} are none", "Ask for at least one, counted from 0")
        if seed is not None and not 0 <= seed < 2**63:
            raise DaedalError(f"There is no seed {seed}", "Give a whole number from 0")
        self._require_room(n)
        return Noise(secrets.randbits(32) if seed is None else seed, first, n, self.device)

    def _require_room(self, n: int, scale: int = 1) -> None:
        """Make sure that so many pictures can be held, and enlarged by so much.

        Raises:
            DaedalError: they cannot.
        """
        if n > _BATCH:
            require_memory(
                f"Holding {n:,} pictures", n * ((1 + scale**2) * math.prod(self.codec.shape) + _RECORD), "Ask for fewer"
            )

    def _read(self, pictures: Sequence[Source | Given]) -> tuple[list[Given], Float[Tensor, "batch c h w"]]:
        given = [self.fit(picture) for picture in pictures]
        if not given:
            raise DaedalError("No picture is given", "Name at least one")
        return given, self.codec.encode_batch(np.stack([one.pixels for one in given]))

    def _texts(self, texts: Sequence[str]) -> Int[Tensor, "texts window"]:
        """The ids of texts that pictures are held against."""
        if not texts or not all(tidy(text) for text in texts):
            what = "One of the texts says nothing" if texts else "No text is given"
            raise DaedalError(what, "Say what a picture may show")
        assert self.captions is not None
        return self.captions.encode(texts).to(self.device)

    def _given_labels(self, label: Labels, count: int) -> Chosen:
        return self._abilities.given_labels(label, self._noise(0, 0, count))

    def _label(self, label: Int[Tensor, "*window"]) -> str | None:
        """The class or caption of a picture."""
        if self.captions is not None:
            return self.captions.decode(label) or None
        return self.classes[int(label)] if label >= 0 else None

    @torch.no_grad()
    def _in_batches(self, noise: Noise, labels: Chosen, progress: Progress | None, work: Work) -> Iterator[Tensor]:
        """What `work` gives for each batch of the noise's examples."""
        size = _BATCH if noise.device.type == "cpu" else _BATCH_ON_GPU
        if progress is not None:
            progress(0, noise.count)
        for start in range(0, noise.count, size):
            stop = min(start + size, noise.count)
            yield work(noise.part(start, stop), None if labels is None else labels[start:stop])
            if progress is not None:
                progress(stop, noise.count)

    def _draw(
        self, noise: Noise, labels: Chosen, progress: Progress | None, work: Work
    ) -> Iterator[UInt8[Array, "height width channels"]]:
        """The pixels of each picture that `work` gives."""
        for batch in self._in_batches(noise, labels, progress, work):
            yield from self.codec.decode_batch(batch)

    def _pictures(
        self,
        drawn: Iterable[UInt8[Array, "height width channels"]],
        task: Literal["generate", "edit", "reconstruct"],
        seed: int | None,
        first: int,
        labels: Chosen,
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
                    label=None if labels is None else self._label(labels[i]),
                    source=None if sources is None else sources[i],
                    options=how,
                    version=__version__,
                ),
            )
            for i, pixels in enumerate(drawn)
        ]
