"""The task of a model of images: pictures to learn from, the validation split, and pictures to look at."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from daedal.codecs.caption import CaptionCodec
from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid, pairs
from daedal.data.images.dataset import ImageDataset
from daedal.files import atomic_path, make_folder
from daedal.models.clip import CLIP
from daedal.models.coded import with_codec
from daedal.models.image import ImageBatch, ImageModel
from daedal.models.own_checkpoint import save_own
from daedal.nn.noise import Noise
from daedal.training.gpt_plan import GridPlan
from daedal.training.picture_codes import coder, fingerprint_of_pictures, identity_of, labels_of, save_codecs
from daedal.training.picture_plan import PicturePlan
from daedal.training.processes import Processes
from daedal.training.stream import PictureStream
from daedal.training.task import Task

_SAMPLES, _COLUMNS = 32, 8
_CAPTION = 60  # characters of a caption that are told
VALIDATED = 2000
"""Held-out pictures that a pass of validation takes at most."""
_FITTED = 20_000


class PictureTask(Task):
    """Trains a model of images on a folder of pictures.

    Args:
        codec: makes the codes that the model learns; without one it learns pixels.
        captions: makes ids of the captions that the model learns.
        flip, shift: how pictures are changed as they are learned.
    """

    unit = "pictures"

    def __init__(
        self,
        model: Any,
        dataset: ImageDataset,
        plan: PicturePlan | GridPlan,
        codec: ImageModel | None,
        captions: CaptionCodec | None = None,
        flip: bool = False,
        shift: int = 0,
    ) -> None:
        self.model, self.dataset, self.codec, self._captions = model, dataset, codec, captions
        # of pictures, in pixels
        self.whole: Any = model if codec is None else with_codec(model, codec)
        self.fingerprint = fingerprint_of_pictures(dataset.split("train"), captions is not None)
        self.identity = identity_of(self.whole, plan)
        self.classes = dataset.classes if self.whole.config.classes else ()
        code = None if codec is None else self.coder(codec)
        train, validation = dataset.split("train"), dataset.split("validation")
        known, held = (labels_of(split, self.classes, captions) for split in (train, validation))
        self._train = PictureStream(train, dataset.codec, plan.seed, code, known, flip, shift)
        self._validation = PictureStream(validation, dataset.codec, 0, code, held) if validation.count > 1 else None

    def coder(self, codec: ImageModel) -> Any:
        """What makes the codes of pictures that the model learns."""
        return coder(codec)

    def save(self, folder: Path) -> None:
        save_own(self.model, folder, self.classes)
        save_codecs(self.dataset, self.codec, folder, self._captions)

    def batch(self, first: int, count: int) -> Any:
        return self._train.batch(first, count)

    def examples(self) -> Iterable[ImageBatch]:
        return self._train.in_order(_FITTED)

    def diverged(self, loss: float, lowest: float) -> bool:
        return abs(loss) > 1e6  # games have no lowest loss

    def held(self, pictures: ImageBatch) -> Any:
        """Held-out pictures, as the model takes them."""
        return pictures

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """The loss and its parts over held-out pictures; nothing for a game, whose losses say little."""
        if self._validation is None or "model" not in self.model.players:
            return {}
        totals = {"loss": 0.0}
        count = 0
        with torch.no_grad(), autocast:
            for pictures in islice(self._validation.in_order(VALIDATED), processes.rank, None, processes.count):
                batch = self.held(pictures)
                loss = self.model.loss(batch.to(processes.device))
                count += batch.count
                for name, value in {"loss": loss.total, **loss.parts}.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        *sums, counted = processes.sum(torch.tensor([*totals.values(), count]))
        return {f"validation_{name}": float(value / counted) for name, value in zip(totals, sums, strict=True)}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """Pictures drawn from nothing; held-out ones, each above what is drawn of its caption, where there are captions, and
        each above what becomes of it where the model draws none. Of a CLIP, captions of held-out ones."""
        device = next(self.model.parameters()).device
        whole, held = self.whole.to(device), self._validation or self._train
        if "sample" in whole.capabilities and self._captions is None:
            count = len(self.classes)
            labels = torch.arange(_SAMPLES, device=device) % count if count else None
            return self._save(
                grid(self._images(whole.sample(Noise(seed, 0, _SAMPLES, device), labels)), _COLUMNS, 1, 0), path
            )
        if isinstance(self.model, CLIP):
            return self._matches(self.model, held)
        batch = held.some(0, min(_SAMPLES // 2, held.split.count)).to(device)
        shown = self.dataset.codec.encode_batch(held.split.images[: batch.count])
        if self._captions is None:
            below = self.model.reconstruct(batch.images)
        else:
            below = whole.sample(Noise(seed, 0, batch.count, device), batch.labels)
        return self._save(pairs(self._images(shown), self._images(below), _COLUMNS, 1, 0), path)

    def _matches(self, model: CLIP, held: PictureStream) -> str:
        """How many of some pictures find their own caption among all of theirs; then the captions that others find."""
        batch = held.some(0, min(_SAMPLES, held.split.count)).to(next(model.parameters()).device)
        nearest = (model.embed_pictures(batch.images) @ model.embed_texts(batch.labels).mT).argmax(1)
        told = [shorten(held.split.captions[at], _CAPTION, placeholder="...") for at in range(batch.count)]
        found = [told[at] for at in nearest.tolist()]
        others = [f'"{other}" for "{own}"' for own, other in zip(told, found, strict=True) if own != other]
        told_apart = f"{batch.count - len(others)} of {batch.count} pictures find their own caption"
        return "; others find\n".join([told_apart, ",\n".join(others)]) if others else told_apart

    def _images(self, pictures: Tensor) -> list[Image.Image]:
        return [to_image(pixels) for pixels in self.dataset.codec.decode_batch(pictures.float().cpu())]

    def _save(self, sheet: Image.Image, path: Path) -> str:
        """Write a sheet as a PNG file; says where."""
        path = path.with_suffix(".png")
        make_folder(path.parent)
        with atomic_path(path) as temporary:
            sheet.save(temporary, format="PNG")
        return str(path)
