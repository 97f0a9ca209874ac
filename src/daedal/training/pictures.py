"""The families that learn pictures, or the codes that another model makes of them: how they are planned, and their task."""

import copy
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
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
from daedal.config import Config
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.files import atomic_path, make_folder
from daedal.models.checkpoint import load_model, resolve, save_codecs, save_own
from daedal.models.clip import CLIP
from daedal.models.coded import Coded, with_codec
from daedal.models.image import ImageBatch, ImageModel
from daedal.nn.noise import Noise
from daedal.training.gpt_plan import GridPlan
from daedal.training.learner import Facts, Learner, Request
from daedal.training.machine import Machine
from daedal.training.picture_codes import (
    captions_of,
    classes_of,
    coder,
    fingerprint_of_pictures,
    identity_of,
    labels_of,
    open_codec,
)
from daedal.training.picture_plan import PicturePlan
from daedal.training.picture_traits import mirrors_belong
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
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
        whole: Any = model if codec is None else with_codec(model, codec)
        self.whole = whole
        self.fingerprint = fingerprint_of_pictures(dataset.split("train"), captions is not None)
        self.identity = identity_of(self.whole, plan.kind, plan.codec)
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
        save_codecs(folder, self.dataset.codec, self.codec, self._captions)

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


class PictureLearner(Learner):
    """A VAE, a tokenizer, a GAN, a flow or a CLIP."""

    passes = "every picture is seen {} times"
    dataset: ImageDataset
    plans: type[PicturePlan]
    initial: ImageModel | None

    def __init__(self, asked: Request, dataset: ImageDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec = None if asked.codec is None else open_codec(asked.codec, asked.family, dataset)
        self.initial = self._load(asked.init) if asked.init is not None else None

    def facts(self, given: Mapping[str, Any]) -> Facts:
        return Facts(self.dataset.split("train").count, min(VALIDATED, self.dataset.split("validation").count))

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        if self.initial is None:
            self._choose_model(choose)
        else:
            config = self.initial.config
            known = config.model_dump()  # a flow's levels of values follow from what it learns, and are no option
            self.keep(choose, {name: value for name, value in known.items() if name in self.plans.model_fields})
            choose("condition", "class" if config.classes else "caption" if config.words else None)
        for name, value in {**self.plans.for_side(max(self.dataset.codec.shape[1:])), **choose.given}.items():
            choose(name, value)
        batch = choose.values["batch"]  # a contrast is with all of a batch
        choose("micro_batch", batch if "micro_batch" in self.plans.derived else largest_share(batch, batch))

    def configured(self, plan: Plan) -> Config:
        config = super().configured(plan)
        return config if self.codec is None else config.but(values=0)  # codes are no bytes

    def task(self, plan: Plan) -> PictureTask:
        assert isinstance(plan, PicturePlan)
        # a model keeps counts of what it sees, and planning tries it
        model = self.begun(plan) if self.initial is None else copy.deepcopy(self.initial)
        captions = self._captions if plan.condition == "caption" else None
        return PictureTask(model, self.dataset, plan, self.codec, captions, plan.flip, plan.shift)

    def guard(self, choose: Choice, draft: Plan) -> dict[str, str]:
        """Pictures mirrored, where they may be: a caption may name a side, and the codes of another model are kept as they were
        made."""
        condition = choose.values["condition"]
        if self.codec is not None or condition == "caption" or "flip" in choose.given:
            return {}
        train, held = self.dataset.split("train"), self.dataset.split("validation")
        if not mirrors_belong(train, held, bool(classes_of(self.dataset, condition))):
            return {}
        choose("flip", True)
        return {"Mirrored": "pictures and their mirror images cannot be told apart here, so that both are learned"}

    @cached_property
    def _captions(self) -> CaptionCodec | None:
        """The captions' codec: that of the model to go on with, or a new one."""
        init = self.asked.init
        return captions_of(self.dataset, "caption") if init is None else CaptionCodec.load(resolve(init))

    def _choose_model(self, choose: Choice) -> None:
        """What the pictures are, and the shape of the network."""
        dataset, train = self.dataset, self.dataset.split("train")
        condition = choose("condition", self.plans.model_fields["condition"].default)
        classes, captions = classes_of(dataset, condition), self._captions if condition == "caption" else None
        shape = dataset.codec.shape if self.codec is None else self._codes(train.images[:1]).shape[1:]
        if len(shape) != 3:
            raise DaedalError(
                f"The latents of {self.asked.codec} are a vector, and a flow learns pictures of codes",
                "Train the vae with --latent 0 --grid 4",
            )
        settled = {**dict(zip(("channels", "height", "width"), map(int, shape), strict=True)), "classes": len(classes)}
        if captions is not None:
            settled.update(words=captions.vocab_size, window=captions.window)
        choose.values.update(settled)
        for name, value in self.plans.of_pictures(
            train, lambda count: self._codes(train.images[:count]), choose.given
        ).items():
            choose(name, value)

    def _codes(self, pixels: Any) -> Tensor:
        images = self.dataset.codec.encode_batch(pixels)
        return images if self.codec is None else coder(self.codec)(images)

    def _load(self, init: str) -> ImageModel:
        model = load_model(init)
        model = model.inner if isinstance(model, Coded) else model
        if not isinstance(model, ImageModel) or model.family != self.asked.family:
            raise DaedalError(
                f"The model in {init} is a {model.family}, not a {self.asked.family}", "Start from another"
            )
        known = (*model.config.shape, model.config.classes)
        shape = (*self._codes(self.dataset.split("train").images[:1]).shape[1:], len(self.dataset.classes))
        if known[:3] != shape[:3] or known[3] not in (0, shape[3]):
            raise DaedalError(
                f"The model in {init} knows {known} (channels, height, width, classes), and the data has {tuple(shape)}",
                "Build the data to match, or start from another",
            )
        return model
