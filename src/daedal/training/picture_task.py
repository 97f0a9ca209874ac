"""The task of a model of images: pictures to learn from, the validation split, and pictures to look at."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from daedal.codecs.caption import CaptionCodec
from daedal.data.images.dataset import ImageDataset
from daedal.models.clip import CLIP
from daedal.models.coded import with_codec
from daedal.models.image import ImageBatch, ImageModel
from daedal.models.own_checkpoint import save_own
from daedal.nn.noise import Noise
from daedal.training.groups import picture_optimizer
from daedal.training.optimizers import Optimizer
from daedal.training.picture_codes import coder, identity_of, save_codecs
from daedal.training.picture_plan import PicturePlan
from daedal.training.picture_rules import classes_of, fingerprint_of_pictures, labels_of
from daedal.training.picture_samples import SAMPLES, draw, save_pairs, save_sheet
from daedal.training.plan import Plan
from daedal.training.processes import Processes
from daedal.training.stream import PictureStream

_CAPTION = 60  # characters of a caption that are told
VALIDATED = 2000
"""Held-out pictures that a pass of validation takes at most."""
_FITTED = 20_000


class PictureTask:
    """Trains a model of images on a folder of pictures.

    Args:
        codec: makes the codes that the model learns; without one it learns pixels.
        captions: makes ids of the captions that the model learns.
    """

    unit = "pictures"

    def __init__(
        self,
        model: ImageModel,
        dataset: ImageDataset,
        plan: PicturePlan,
        codec: ImageModel | None,
        captions: CaptionCodec | None = None,
    ) -> None:
        self.model, self.dataset, self.codec, self._captions = model, dataset, codec, captions
        self.fingerprint = fingerprint_of_pictures(dataset.split("train"), captions is not None)
        code = coder(codec) if codec is not None else None
        classes = classes_of(dataset, plan.condition)
        train, validation = dataset.split("train"), dataset.split("validation")
        known, held = (labels_of(split, classes, captions) for split in (train, validation))
        self._train = PictureStream(train, dataset.codec, plan.seed, code, known, plan.flip, plan.shift)
        self._validation = PictureStream(validation, dataset.codec, 0, code, held) if validation.count > 1 else None
        self._validated = min(VALIDATED, validation.count)
        self.identity = identity_of(self.whole, plan)

    @property
    def whole(self) -> ImageModel:
        """The model of pictures, in pixels."""
        return self.model if self.codec is None else with_codec(self.model, self.codec)

    def save(self, folder: Path) -> None:
        save_own(self.model, folder, self.dataset.classes if self.model.config.classes else ())
        save_codecs(self.dataset, self.codec, folder, self._captions)
        self.identity.write(folder)

    def batch(self, first: int, count: int) -> ImageBatch:
        return self._train.batch(first, count)

    def examples(self) -> Iterator[ImageBatch]:
        return self._train.in_order(_FITTED)

    def optimizer(self, player: str, plan: Plan) -> Optimizer:
        return picture_optimizer(self.model, player, plan)

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss}

    def diverged(self, loss: float, lowest: float) -> bool:
        return abs(loss) > 1e6  # games have no lowest loss

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """The loss and its parts over held-out pictures; nothing for a game, whose losses say little."""
        if self._validation is None or "model" not in self.model.players:
            return {}
        totals: dict[str, float] = {}
        mine = islice(self._validation.in_order(self._validated), processes.rank, None, processes.count)
        with torch.no_grad(), autocast:
            for batch in mine:
                loss = self.model.loss(batch.to(processes.device))
                for name, value in {"loss": loss.total, **loss.parts}.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        sums = processes.sum(torch.tensor(list(totals.values()))) / self._validated
        return {f"validation_{name}": float(value) for name, value in zip(totals, sums, strict=True)}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """Pictures drawn from nothing; held-out ones, each above what is drawn of its caption, where there are captions, and
        each above what becomes of it where the model draws none. Of a CLIP, captions of held-out ones."""
        device = next(self.model.parameters()).device
        if "sample" in self.model.capabilities and self._captions is None:
            return save_sheet(draw(self.whole, device, seed), self.dataset, path)
        held = self._validation or self._train
        if isinstance(self.model, CLIP):
            return self._matches(self.model, held)
        batch = held.some(0, min(SAMPLES // 2, held.split.count)).to(device)
        shown = self.dataset.codec.encode_batch(held.split.images[: batch.count])
        if self._captions is None:
            return save_pairs(shown, self.model.reconstruct(batch.images), self.dataset, path)
        drawn = self.whole.to(device).sample(Noise(seed, 0, batch.count, device), batch.labels)
        return save_pairs(shown, drawn, self.dataset, path)

    def _matches(self, model: CLIP, held: PictureStream) -> str:
        """How many of some pictures find their own caption among all of theirs; then the captions that others find."""
        batch = held.some(0, min(SAMPLES, held.split.count)).to(next(model.parameters()).device)
        nearest = (model.embed_pictures(batch.images) @ model.embed_texts(batch.labels).mT).argmax(1)
        told = [shorten(held.split.captions[at], _CAPTION, placeholder="...") for at in range(batch.count)]
        found = [told[at] for at in nearest.tolist()]
        others = [f'"{other}" for "{own}"' for own, other in zip(told, found, strict=True) if own != other]
        told_apart = f"{batch.count - len(others)} of {batch.count} pictures find their own caption"
        return "; others find\n".join([told_apart, ",\n".join(others)]) if others else told_apart
