"""The families that learn pictures, or the codes that another model makes of them: how they are planned."""

import copy
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Tensor

from daedal.codecs.caption import CaptionCodec
from daedal.config import Config
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve
from daedal.models.coded import Coded
from daedal.models.image import ImageModel
from daedal.training.learner import Facts, Learner, Request
from daedal.training.machine import Machine
from daedal.training.picture_codes import captions_of, classes_of, coder, open_codec
from daedal.training.picture_plan import PicturePlan
from daedal.training.picture_task import VALIDATED, PictureTask
from daedal.training.picture_traits import mirrors_belong
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share


class PictureLearner(Learner):
    """A VAE, a tokenizer, a GAN, a flow or a CLIP."""

    passes = "every picture is seen {:.1f} times"
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
