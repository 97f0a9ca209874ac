"""What skills of models of pictures share: chance, classes, batches, given pictures, provenance."""

import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from daedal.codecs.caption import tidy
from daedal.codecs.image import PixelCodec
from daedal.codecs.raster import to_image
from daedal.errors import DaedalError
from daedal.inference.conditions import Chosen, Labels, Prompts, listed
from daedal.inference.input_picture import AnyPicture, InputPicture, fit
from daedal.inference.picture import Picture
from daedal.inference.provenance import PictureProvenance
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.memory import require_memory
from daedal.models.image import ImageModel, ImageSampling
from daedal.models.model import Capability
from daedal.nn.noise import Noise

Array = np.ndarray
Pixels = UInt8[Array, "height width channels"]
Progress = Callable[[int, int], None]
"""Told how many pictures are done, and of how many."""
Work = Callable[[Noise, Chosen], Tensor]
"""Draws a batch: the pictures that the noise belongs to, of these classes."""

_BATCH, _BATCH_ON_GPU = 32, 256
"""Pictures at a time; what a picture is does not depend on it. On a CPU more are hardly faster, and tell less often."""

ASKING: dict[Capability, str] = {"class": "draw a class", "prompt": "draw what a text says"}
"""What a model may be asked to draw, in words."""
_RECORD = 2000
"""Bytes that a picture takes beside its pixels."""


class PictureSkill(Skill):
    """A skill of a model of pictures.

    What takes pictures, texts, classes or options raises a `DaedalError` where none is given, one cannot be read or says
    nothing, or the model knows no such.
    """

    learned = ImageModel

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        assert isinstance(subject.model, ImageModel)
        assert isinstance(subject.codec, PixelCodec)
        self._model, self._codec = subject.model, subject.codec
        self._conditions = subject.conditions

    @classmethod
    def fits(cls, subject: ModelAndCodec) -> bool:
        """Whether a model has it; a tokenizer of clips is a model of pictures, and its pictures are frames."""
        return super().fits(subject) and isinstance(subject.codec, PixelCodec)

    def fit(self, picture: AnyPicture) -> InputPicture:
        """A picture as the model sees it: of its size and mode, by the rule of its training data; `note` tells of changes.

        Raises:
            DaedalError: it is missing, damaged, huge or no picture.
        """
        return fit(picture, self._codec)

    def _how(self, values: Mapping[str, Any], prompt: Prompts = None) -> ImageSampling:
        """How to draw; where a prompt is given, what it leaves open is as the family draws those best.

        Raises:
            DaedalError: there is no such option, its value makes no sense, or the family does not honour it.
        """
        how, model = ImageSampling.parse(values, "options"), self._model
        refused = sorted(name for name, value in how if value is not None and name not in model.options)
        if refused:
            takes = listed(sorted(model.options)) if model.options else "no options"
            raise DaedalError(
                f"{self._subject.kind} does not take {listed(refused)}: it takes {takes}, and {self._subject.able}",
                "Leave it out" if len(refused) == 1 else "Leave them out",
            )
        return how if prompt is None else model.prompted.but(**how.model_dump(exclude_none=True))

    def _asked(self, label: Labels, noise: Noise, prompt: Prompts = None, draws: bool = False) -> Chosen:
        """The class or caption of each example of the noise, where one is given; else one that is drawn, if that is wanted.

        Raises:
            DaedalError: there is none.
        """
        for (capability, words), given in zip(ASKING.items(), (label, prompt), strict=True):
            if given is not None and capability not in self._model.capabilities:
                raise self._subject.refusal(words)
        return (self._conditions.drawn if draws else self._conditions.asked)(label, prompt, noise)

    def _noise(self, seed: int | None, first: int, n: int) -> Noise:
        """The random numbers of `n` pictures; a seed is drawn where none is given, so that they can be drawn again."""
        if n < 1 or not 0 <= first < 2**63:
            raise DaedalError(f"{n} pictures from number {first} are none", "Ask for at least one, counted from 0")
        if seed is not None and not 0 <= seed < 2**63:
            raise DaedalError(f"There is no seed {seed}", "Give a whole number from 0")
        self._require_room(n)
        return Noise(secrets.randbits(32) if seed is None else seed, first, n, self._subject.device)

    def _require_room(self, n: int, scale: int = 1) -> None:
        """Make sure that so many pictures can be held, and enlarged by so much.

        Raises:
            DaedalError: they cannot.
        """
        if n > _BATCH:
            require_memory(
                f"Holding {n:,} pictures",
                n * ((1 + scale**2) * math.prod(self._codec.shape) + _RECORD),
                "Ask for fewer",
            )

    def _read(self, pictures: Sequence[AnyPicture]) -> tuple[list[InputPicture], Float[Tensor, "n c h w"]]:
        given = [self.fit(picture) for picture in pictures]
        if not given:
            raise DaedalError("No picture is given", "Name at least one")
        return given, self._codec.encode_batch(np.stack([one.pixels for one in given]))

    def _texts(self, texts: Sequence[str]) -> Int[Tensor, "texts window"]:
        """The ids of texts that pictures are held against."""
        if not texts or not all(tidy(text) for text in texts):
            what = "One of the texts says nothing" if texts else "No text is given"
            raise DaedalError(what, "Say what a picture may show")
        assert self._conditions.captions is not None
        return self._conditions.captions.encode(texts).to(self._subject.device)

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

    def _of_each(
        self,
        pictures: Sequence[AnyPicture],
        work: Callable[[Float[Tensor, "n c h w"], Noise, Chosen], Tensor],
        label: Labels = None,
        progress: Progress | None = None,
        seed: int = 0,
    ) -> tuple[list[InputPicture], Tensor]:
        """Given pictures, and what `work` finds of each, in batches."""
        given, images = self._read(pictures)
        noise = self._noise(seed, 0, len(given))

        def find(part: Noise, chosen: Chosen) -> Tensor:
            return work(images[part.first : part.first + part.count].to(noise.device), part, chosen)

        return given, torch.cat(list(self._in_batches(noise, self._asked(label, noise), progress, find)))

    def _draw(self, noise: Noise, labels: Chosen, progress: Progress | None, work: Work) -> Iterator[Pixels]:
        """The pixels of each picture that `work` gives."""
        for batch in self._in_batches(noise, labels, progress, work):
            yield from self._codec.decode_batch(batch)

    def _pictures(
        self,
        drawn: Iterable[Pixels],
        task: str,
        seed: int | None,
        first: int,
        labels: Chosen,
        how: ImageSampling,
        sources: Sequence[str | None],
    ) -> list[Picture]:
        """The pictures of pixels, each with where it comes from."""
        return [
            Picture(
                to_image(pixels),
                self._subject.signed(
                    PictureProvenance,
                    task=task,
                    seed=seed,
                    number=first + i,
                    label=None if labels is None else self._conditions.said(labels[i]),
                    source=sources[i],
                    options=how,
                ),
            )
            for i, pixels in enumerate(drawn)
        ]
