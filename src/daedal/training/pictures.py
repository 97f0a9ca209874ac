"""The families that learn pictures, or the codes that another model makes of them."""

import copy
from collections.abc import Iterator, Mapping
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
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.files import atomic_folder, atomic_path, make_folder
from daedal.models.checkpoint import load_model, resolve
from daedal.models.clip import CLIP
from daedal.models.coded import CODEC, Coded, with_codec
from daedal.models.image import ImageBatch, ImageModel
from daedal.models.image_checkpoint import save_image_model
from daedal.models.image_families import image_family
from daedal.nn.noise import Noise
from daedal.training.choice import (
    UNPLANNED,
    Choice,
    Time,
    choose_length,
    choose_machine,
    choose_rhythm,
    largest_share,
)
from daedal.training.family import Family
from daedal.training.footprint import require_state, require_step
from daedal.training.groups import picture_optimizer
from daedal.training.machine import Machine
from daedal.training.mirror import mirrors_belong
from daedal.training.optimizers import Optimizer
from daedal.training.overfitting import choose_guards
from daedal.training.picture_plan import PicturePlan
from daedal.training.picture_rules import (
    captions_of,
    classes_of,
    fingerprint_of_pictures,
    labels_of,
)
from daedal.training.plan import Plan, Prediction
from daedal.training.plans import plan_class
from daedal.training.processes import Processes
from daedal.training.rehearsal import step_seconds
from daedal.training.stream import PictureStream

_SAMPLES, _COLUMNS = 32, 8
_CAPTION = 60  # characters of a caption that are told
VALIDATED = 2000
"""Held-out pictures that a pass of validation takes at most."""
_FITTED = 20_000


class PictureFamily(Family):
    """A VAE, a tokenizer, a GAN, a flow or a CLIP.

    Args:
        codec: the run folder of a VAE whose latents a flow learns.
        init: a run folder whose weights to start from.
    """

    dataset: ImageDataset

    def __init__(self, family: str, dataset: ImageDataset, data: str, codec: str | None, init: str | None) -> None:
        self._plans: type[PicturePlan] = plan_class(family)  # type: ignore[assignment]
        self.family, self.dataset, self.data, self.init = family, dataset, data, init
        self.codec_path, self.codec = codec, open_codec(codec, dataset) if codec is not None else None
        self._initial = self._load(init) if init is not None else None

    def make_plan(self, budget: float | None, machine: Machine, given: dict[str, Any]) -> PicturePlan:
        time = Time.of(budget, given)
        train = self.dataset.split("train")
        choose, draft = self._draft(time, machine, given)
        require_state(lambda values: self._outlined(self._draft(time, machine, values)[1]), given, self._sizes)
        task = self.task(draft)
        require_step(task.model, task.batch(0, 1), task.batch(0, 2), draft)
        per_step = step_seconds(
            task.model,
            {player: task.optimizer(player, draft) for player in task.model.players},
            task.batch(0, draft.micro_batch),
            draft,
        )
        guards: dict[str, str] = {}
        if time.budget is not None:
            kind = "fine-tuning" if self.init is not None and self.family != "gan" else self.family
            possible = int(time.seconds / per_step)
            guards = choose_guards(choose, kind, draft.batch / train.count, possible, task.validated)
        if guards and "flip" not in given and self._mirrors_belong(draft):
            choose("flip", True)
            guards["Mirrored"] = "pictures and their mirror images cannot be told apart here, so that both are learned"
        steps = choose_length(choose, time, per_step, "a smaller network")
        choose_rhythm(choose, steps, per_step, task.validated * per_step / draft.batch / 3)
        seen = steps * draft.batch
        prediction = Prediction(parameters=task.model.parameter_count, seconds_per_step=per_step, seen=seen)
        why = {
            "Length": f"a step took {per_step * 1000:.0f} ms when tried on {machine.name}; "
            f"every picture is seen {seen / train.count:.1f} times",
            **guards,
        }
        return self._plans.parse({**choose.values, "predicted": prediction.model_dump(), "why": why}, "plan")

    def _draft(self, time: Time, machine: Machine, given: Mapping[str, Any]) -> tuple[Choice, PicturePlan]:
        """All values of a plan but those that follow from the time of a step."""
        settled = {"data": self.data, "budget": time.budget, "init": self.init, "codec": self.codec_path}
        choose = Choice(dict(given), settled)
        choose_machine(choose, machine)
        self._choose_model(choose)
        for name, value in {**self._plans.for_side(max(self.dataset.codec.shape[1:])), **given}.items():
            choose(name, value)
        batch = choose.values["batch"]  # a contrast is with all of a batch
        choose("micro_batch", batch if "micro_batch" in self._plans.derived else largest_share(batch, batch))
        return choose, self._plans.parse({**UNPLANNED, **choose.values}, "plan")

    @property
    def _sizes(self) -> list[str]:
        """The values by which a network grows."""
        return list(image_family(self.family).config.model_fields)

    def _outlined(self, plan: PicturePlan) -> tuple[ImageModel, PicturePlan]:
        """The model of a plan, on the meta device: it takes no memory."""
        if self._initial is not None:
            return self._initial, plan
        with torch.device("meta"):
            return self._new(plan), plan

    def _new(self, plan: PicturePlan) -> ImageModel:
        known = image_family(self.family)
        values = {name: getattr(plan, name) for name in known.config.model_fields if hasattr(plan, name)}
        if self.codec is not None:
            values["values"] = 0  # codes are no bytes
        return known.model(known.config.parse(values, "plan"))

    def task(self, plan: Plan) -> "PictureTask":
        assert isinstance(plan, PicturePlan)
        model = copy.deepcopy(self._initial)  # a model keeps counts of what it sees, and planning tries it
        if model is None:
            model = self._new(plan)
            model.initialise(torch.Generator().manual_seed(plan.seed))
        captions = self._captions if plan.condition == "caption" else None
        return PictureTask(model, self.dataset, plan, self.codec, captions)

    @cached_property
    def _captions(self) -> CaptionCodec | None:
        """The captions' codec: that of the model to go on with, or a new one."""
        return captions_of(self.dataset, "caption") if self.init is None else CaptionCodec.load(resolve(self.init))

    def _choose_model(self, choose: Choice) -> None:
        """What the pictures are, and the shape of the network."""
        dataset, train = self.dataset, self.dataset.split("train")
        if self._initial is not None:
            self._take_model(choose, self._initial)
            return
        condition = choose("condition", self._plans.model_fields["condition"].default)
        classes, captions = classes_of(dataset, condition), self._captions if condition == "caption" else None
        shape = dataset.codec.shape if self.codec is None else self._codes(train.images[:1]).shape[1:]
        if len(shape) != 3:
            raise DaedalError(
                f"The latents of {self.codec_path} are a vector, and a flow learns pictures of codes",
                "Train the vae with --latent 0 --grid 4",
            )
        settled = {**dict(zip(("channels", "height", "width"), map(int, shape), strict=True)), "classes": len(classes)}
        if captions is not None:
            settled.update(words=captions.vocab_size, window=captions.window)
        choose.values.update(settled)
        for name, value in self._plans.of_pictures(
            train, lambda count: self._codes(train.images[:count]), choose.given
        ).items():
            choose(name, value)

    def _mirrors_belong(self, plan: PicturePlan) -> bool:
        """Whether pictures may be learned mirrored. A caption may name a side, and the codes of another model are kept as they
        were made."""
        if self.codec is not None or plan.condition == "caption":
            return False
        train, held = self.dataset.split("train"), self.dataset.split("validation")
        return mirrors_belong(train, held, bool(classes_of(self.dataset, plan.condition)))

    def _take_model(self, choose: Choice, model: ImageModel) -> None:
        """The shape of the model that training goes on with."""
        for name, settled in model.config.model_dump().items():
            if name not in self._plans.model_fields:
                continue  # a flow's levels of values, which follow from what it learns
            if choose.given.get(name, settled) != settled:
                raise DaedalError(
                    f"The model to start from has {name} {settled}", f"Leave --{name.replace('_', '-')} away"
                )
            choose.values[name] = settled
        choose("condition", "class" if model.config.classes else "caption" if model.config.words else None)

    def _codes(self, pixels: Any) -> Tensor:
        images = self.dataset.codec.encode_batch(pixels)
        return images if self.codec is None else coder(self.codec)(images)

    def _load(self, init: str) -> ImageModel:
        model = load_model(init)
        model = model.inner if isinstance(model, Coded) else model
        if not isinstance(model, ImageModel) or model.family != self.family:
            raise DaedalError(f"The model in {init} is a {model.family}, not a {self.family}", "Start from another")
        known = (*model.config.shape, model.config.classes)
        shape = (*self._codes(self.dataset.split("train").images[:1]).shape[1:], len(self.dataset.classes))
        if known[:3] != shape[:3] or known[3] not in (0, shape[3]):
            raise DaedalError(
                f"The model in {init} knows {known} (channels, height, width, classes), and the data has {tuple(shape)}",
                "Build the data to match, or start from another",
            )
        return model


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
        self.validated = min(VALIDATED, validation.count)

    @property
    def whole(self) -> ImageModel:
        """The model of pictures, in pixels."""
        return self.model if self.codec is None else with_codec(self.model, self.codec)

    def save(self, folder: Path) -> None:
        save_image_model(self.model, folder, self.dataset.classes if self.model.config.classes else ())
        save_codecs(self.dataset, self.codec, folder, self._captions)

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
        mine = islice(self._validation.in_order(self.validated), processes.rank, None, processes.count)
        with torch.no_grad(), autocast:
            for batch in mine:
                loss = self.model.loss(batch.to(processes.device))
                for name, value in {"loss": loss.total, **loss.parts}.items():
                    totals[name] = totals.get(name, 0.0) + float(value)
        sums = processes.sum(torch.tensor(list(totals.values()))) / self.validated
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
        batch = held.some(0, min(_SAMPLES // 2, held.split.count)).to(device)
        shown = self.dataset.codec.encode_batch(held.split.images[: batch.count])
        if self._captions is None:
            return save_pairs(shown, self.model.reconstruct(batch.images), self.dataset, path)
        drawn = self.whole.to(device).sample(Noise(seed, 0, batch.count, device), batch.labels)
        return save_pairs(shown, drawn, self.dataset, path)

    def _matches(self, model: CLIP, held: PictureStream) -> str:
        """How many of some pictures find their own caption among all of theirs; then the captions that others find."""
        batch = held.some(0, min(_SAMPLES, held.split.count)).to(next(model.parameters()).device)
        nearest = (model.embed_pictures(batch.images) @ model.embed_texts(batch.labels).mT).argmax(1)
        told = [shorten(held.split.captions[at], _CAPTION, placeholder="...") for at in range(batch.count)]
        found = [told[at] for at in nearest.tolist()]
        others = [f'"{other}" for "{own}"' for own, other in zip(told, found, strict=True) if own != other]
        told_apart = f"{batch.count - len(others)} of {batch.count} pictures find their own caption"
        return "; others find\n".join([told_apart, ",\n".join(others)]) if others else told_apart


def draw(model: ImageModel, device: torch.device, seed: int) -> Tensor:
    """New pictures, of each class in turn where there are classes."""
    classes = model.config.classes
    labels = torch.arange(_SAMPLES, device=device) % classes if classes else None
    return model.to(device).sample(Noise(seed, 0, _SAMPLES, device), labels)


def save_sheet(pictures: Tensor, dataset: ImageDataset, path: Path) -> str:
    """Write pictures side by side as a PNG file; says where."""
    return _save(grid(_images(pictures, dataset), _COLUMNS, scale=1, gap=0), path)


def save_pairs(above: Tensor, below: Tensor, dataset: ImageDataset, path: Path) -> str:
    """Write pictures, each above another, as a PNG file; says where."""
    return _save(pairs(_images(above, dataset), _images(below, dataset), _COLUMNS, scale=1, gap=0), path)


def _images(pictures: Tensor, dataset: ImageDataset) -> list[Image.Image]:
    return [to_image(pixels) for pixels in dataset.codec.decode_batch(pictures.float().cpu())]


def _save(sheet: Image.Image, path: Path) -> str:
    path = path.with_suffix(".png")
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")
    return str(path)


def coder(codec: ImageModel) -> Any:
    """What makes codes of pictures."""
    return torch.no_grad()(lambda images: codec.encode(images.to(next(codec.parameters()).device)).cpu())


def open_codec(path: str, dataset: ImageDataset) -> ImageModel:
    """The model whose codes are to be learned.

    Raises:
        DaedalError: it is no such model, or of pictures of another size.
    """
    model = load_model(path)
    if not isinstance(model, ImageModel) or isinstance(model, Coded) or model.family not in ("vae", "vqvae"):
        raise DaedalError(f"The model in {path} makes no codes of pictures", "Name the run folder of a vae or a vqvae")
    if model.config.shape != dataset.codec.shape:
        raise DaedalError(
            f"The codec in {path} knows pictures of {model.config.shape} and the data has {dataset.codec.shape} "
            "(channels, height, width)",
            "Train the codec on data of that size",
        )
    return model.requires_grad_(False)


def save_codecs(
    dataset: ImageDataset, codec: ImageModel | None, folder: Path, captions: CaptionCodec | None = None
) -> None:
    """What turns codes into pictures and captions into ids, beside the model of the codes."""
    dataset.codec.save(folder)
    if captions is not None:
        captions.save(folder)
    if codec is not None and not (folder / CODEC).is_dir():
        with atomic_folder(folder / CODEC) as temporary:
            save_image_model(codec, temporary)
            dataset.codec.save(temporary)
