"""A GPT that learns the tokens of pictures: the grids of ids that a tokenizer makes of them, row by row."""

import math
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, save_model
from daedal.models.coded import TokenModel, token_batch
from daedal.models.gpt import GPT
from daedal.models.model import TokenBatch
from daedal.models.vqvae import VQVAE
from daedal.training.family import Family
from daedal.training.groups import gpt_optimizer
from daedal.training.machine import Machine
from daedal.training.optimizers import Optimizer
from daedal.training.picture_rules import labels_of
from daedal.training.pictures import VALIDATED, draw, open_codec, save_codecs, save_sheet
from daedal.training.plan import GPTPlan, Plan
from daedal.training.processes import Processes
from daedal.training.rules import TokenFacts, new_gpt, plan_gpt
from daedal.training.stream import PictureStream


class GridFamily(Family):
    """A GPT on the tokens of pictures.

    Args:
        codec: the run folder of the tokenizer.
        init: a run folder whose weights to start from.
    """

    def __init__(self, dataset: ImageDataset, data: str, codec: str | None, init: str | None) -> None:
        if codec is None:
            raise DaedalError(
                "A GPT learns tokens, and this data is pictures",
                "Train a tokenizer on it first (daedal train vqvae) and name its run folder by --codec",
            )
        model = open_codec(codec, dataset)
        if not isinstance(model, VQVAE):
            raise DaedalError(f"The {model.family} in {codec} makes no tokens", "Name the run folder of a vqvae")
        self.dataset, self.data, self.codec_path, self.codec, self.init = dataset, data, codec, model, init
        self._initial = self._load(init) if init is not None else None

    def make_plan(self, budget: float | None, machine: Machine, given: dict[str, Any]) -> GPTPlan:
        tokens, classes = math.prod(self.codec.grid), len(labels_of(self.dataset, given.get("condition")))
        facts = TokenFacts(
            train=self.dataset.split("train").count * tokens,
            validation=min(VALIDATED, self.dataset.split("validation").count) * tokens,
            vocab_size=self.codec.vocab_size + 1 + classes,
            grid=self.codec.grid,
        )
        settled = {"init": self.init, "codec": self.codec_path}
        return plan_gpt(facts, self.data, budget, machine, given, self._initial, settled)

    def task(self, plan: Plan) -> "GridTask":
        assert isinstance(plan, GPTPlan)
        return GridTask(self._initial or new_gpt(plan), self.codec, self.dataset, plan)

    def _load(self, init: str) -> GPT:
        model = load_model(init, dtype=torch.float32)
        if not isinstance(model, TokenModel) or model.codec.vocab_size != self.codec.vocab_size:
            raise DaedalError(f"The model in {init} does not write tokens of {self.codec_path}", "Start from another")
        return model.inner


class GridTask:
    """Trains a GPT on grids of ids. Each begins with the id of its class, or of no class."""

    unit = "tokens"

    def __init__(self, model: GPT, codec: VQVAE, dataset: ImageDataset, plan: GPTPlan) -> None:
        self.model, self.codec, self.dataset = model, codec, dataset
        self.fingerprint = dataset.split("train").fingerprint
        self._classes = labels_of(dataset, plan.condition)
        self._label_dropout = plan.label_dropout
        labelled = bool(self._classes)
        train, validation = dataset.split("train"), dataset.split("validation")
        self._train = PictureStream(train, dataset.codec, plan.seed, self._ids, labelled)
        self._validation = (
            PictureStream(validation, dataset.codec, 0, self._ids, labelled) if validation.count > 1 else None
        )
        self._validated = min(VALIDATED, validation.count)

    @property
    def whole(self) -> TokenModel:
        """The model of pictures, in pixels."""
        return TokenModel(self.model, self.codec)

    def save(self, folder: Path) -> None:
        save_model(self.model, folder, notes={"class_names": list(self._classes)})
        save_codecs(self.dataset, self.codec, folder)

    def batch(self, first: int, count: int) -> TokenBatch:
        batch = self._train.batch(first, count)
        return token_batch(batch.images, batch.unlabelled(self._label_dropout), self.codec.vocab_size)

    def examples(self) -> tuple[()]:
        return ()

    def optimizer(self, player: str, plan: Plan) -> Optimizer:
        return gpt_optimizer(self.model, plan)

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss}

    def diverged(self, loss: float, lowest: float) -> bool:
        return loss > 3 * lowest + 10

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        if self._validation is None:
            return {}
        totals = torch.zeros(2)
        mine = islice(self._validation.in_order(self._validated), processes.rank, None, processes.count)
        with torch.no_grad(), autocast:
            for pictures in mine:
                batch = token_batch(pictures.images, pictures.labels, self.codec.vocab_size)
                loss = self.model.loss(batch.to(processes.device))
                totals += torch.tensor([float(loss.total), batch.count])
        totals = processes.sum(totals)
        return {"validation_loss": float(totals[0] / totals[1])}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        return save_sheet(draw(self.whole, next(self.model.parameters()).device, seed), self.dataset, path)

    def _ids(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.codec.encode_ids(images.to(next(self.codec.parameters()).device)).cpu()
