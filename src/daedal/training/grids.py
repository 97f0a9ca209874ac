"""A GPT that learns the tokens of pictures: the grids of ids that a tokenizer makes of them, row by row."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from daedal.codecs.caption import CaptionCodec
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve, save_codecs, save_model
from daedal.models.coded import TokenModel
from daedal.models.gpt import GPT
from daedal.models.image import ImageBatch, ImageModel
from daedal.models.layout import TokenLayout
from daedal.models.model import Model, TokenBatch
from daedal.models.vqvae import VQVAE
from daedal.training.gpt_plan import GridPlan
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.picture_codes import captions_of, classes_of, coder, open_codec
from daedal.training.pictures import VALIDATED, PictureTask
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time
from daedal.training.task import Task
from daedal.training.transformer_learner import GPTLearner, gpt_config


class GridLearner(GPTLearner):
    """A GPT on the tokens of pictures, which are made by a tokenizer."""

    dataset: ImageDataset
    initial: GPT | None
    guarded = "tokens"
    architecture = "swift"  # what learns the tokens of our own tokenizer opens in no other program anyway

    def __init__(self, asked: Request, dataset: ImageDataset) -> None:
        super().__init__(asked)
        codec = open_codec(str(asked.codec), asked.family, dataset)
        assert isinstance(codec, VQVAE)
        self.dataset, self.codec = dataset, codec
        self.initial = self._load(asked.init) if asked.init is not None else None

    def facts(self, given: Mapping[str, Any]) -> Facts:
        condition = given.get("condition")
        classes, captions = classes_of(self.dataset, condition), self._captions(condition)
        layout = TokenLayout(self.codec.vocab_size, math.prod(self.codec.grid), len(classes))
        if captions is not None:
            layout = replace(layout, words=captions.vocab_size, window=captions.window)
        held = min(VALIDATED, self.dataset.split("validation").count)
        train = self.dataset.split("train").count
        return Facts(train * layout.length, held * layout.length, layout.vocab_size, layout)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        assert facts.layout is not None
        choose.values.update(grid=self.codec.grid, window=facts.layout.window)
        if self.initial is not None:
            choose.values["window"] = self.initial.config.grid_at
        super().settle(choose, facts, time, machine)

    def longest(self, model: Model) -> int:
        assert isinstance(model, GPT)
        return model.config.context - model.config.grid_at

    def task(self, plan: Plan) -> "GridTask":
        assert isinstance(plan, GridPlan)
        whole = TokenModel(self.initial or GPT(gpt_config(plan)), self.codec)
        if self.initial is None:
            whole.initialise(torch.Generator().manual_seed(plan.seed))
        return GridTask(whole, self.dataset, plan, self._captions(plan.condition))

    def _captions(self, condition: str | None) -> CaptionCodec | None:
        """The captions' codec: that of the model to go on with, or a new one."""
        if self.asked.init is None or condition != "caption":
            return captions_of(self.dataset, condition)
        return CaptionCodec.load(resolve(self.asked.init))

    def _load(self, init: str) -> GPT:
        model = load_model(init, dtype=torch.float32)
        if not isinstance(model, TokenModel) or model.codec.vocab_size != self.codec.vocab_size:
            raise DaedalError(f"The model in {init} does not write tokens of {self.asked.codec}", "Start from another")
        return model.inner


class GridTask(PictureTask):
    """Trains a GPT on grids of ids, each after its class or caption; and on some captions, each after its picture."""

    unit = "tokens"

    def __init__(
        self, whole: TokenModel, dataset: ImageDataset, plan: GridPlan, captions: CaptionCodec | None = None
    ) -> None:
        super().__init__(whole.inner, dataset, plan, whole.codec, captions)
        self._layout, self._label_dropout, self._telling = whole.layout, plan.label_dropout, plan.telling

    def coder(self, codec: ImageModel) -> Any:
        assert isinstance(codec, VQVAE)
        return coder(codec, codec.encode_ids)

    def save(self, folder: Path) -> None:
        save_model(self.model, folder, notes={"class_names": list(self.classes)})
        save_codecs(folder, self.dataset.codec, self.codec, self._captions)

    def batch(self, first: int, count: int) -> TokenBatch:
        pictures, layout = self._train.batch(first, count), self._layout
        draw = layout.to_draw(pictures.images, pictures.unlabelled(self._label_dropout))
        if self._captions is None:
            return draw
        tell, told = layout.to_tell(pictures.images, pictures.labels), pictures.noise.uniform("tell") < self._telling
        return TokenBatch(
            torch.where(told[:, None], tell.inputs, draw.inputs),
            torch.where(told[:, None], tell.targets, draw.targets),
            first=torch.where(told, layout.window, 0),
        )

    def examples(self) -> tuple[()]:
        return ()

    def diverged(self, loss: float, lowest: float) -> bool:
        return Task.diverged(self, loss, lowest)

    def held(self, pictures: ImageBatch) -> TokenBatch:
        return self._layout.to_draw(pictures.images, pictures.labels)
