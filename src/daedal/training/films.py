"""A GPT that learns to write clips after their captions or classes, as the tokens that a tokenizer makes of them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec
from daedal.codecs.clip import CLIP_CODEC
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve, save_codecs, save_own
from daedal.models.film import Film, FilmConfig, FilmModel
from daedal.models.identity import Identity
from daedal.models.layout import TokenLayout
from daedal.models.model import Model, TokenBatch
from daedal.models.vqvae3d import COLOURS, VQVAE3D
from daedal.nn.noise import Noise
from daedal.training.clip_pictures import ClipPictures, ClipSplit, to_frames
from daedal.training.clip_tokens import save_strips
from daedal.training.film_plan import FilmPlan
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.task import Task
from daedal.training.transformer_learner import GPTLearner

VALIDATED = 400
"""Held-out clips that a pass of validation takes at most."""
_TOKENS = 4096  # of a step, about
_TOGETHER, _SHOWN = 8, 8  # clips validated at once, of a sample


class FilmLearner(GPTLearner):
    """A GPT and the clips that it is to learn."""

    dataset: Any
    initial: Film | None
    guarded = "tokens"
    architecture = "swift"  # what learns the tokens of our own tokenizer opens in no other program anyway
    passes = "every clip is seen {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        codec = load_model(str(asked.codec))
        if not isinstance(codec, VQVAE3D):
            raise DaedalError(f"The {codec.family} in {asked.codec} makes no tokens of clips", "Name a vqvae3d's run")
        self.codec = codec.requires_grad_(False)
        self.dataset = ClipPictures(dataset)
        if self.dataset.codec.shape != codec.config.shape:
            raise DaedalError(
                f"The codec in {asked.codec} knows {_sized(codec.config.shape)}, and the data has "
                f"{_sized(self.dataset.codec.shape)}",
                "Train the codec on data of that size",
            )
        told = captions_of(dataset)
        self.captions = CaptionCodec.train(told) if any(told) else None
        self.classes = () if self.captions else classes_of(dataset)
        self.initial = None if asked.init is None else self._load(asked.init)

    def facts(self, given: Mapping[str, Any]) -> Facts:
        rows, columns = self.codec.grid
        captions = self.captions
        said = {"classes": len(self.classes)}
        if captions is not None:
            said = {"words": captions.vocab_size, "window": captions.window}
        layout = TokenLayout(self.codec.vocab_size, rows * columns, **said)
        train, held = (self.dataset.split(name).count for name in ("train", "validation"))
        return Facts(train * layout.length, min(VALIDATED, held) * layout.length, layout.vocab_size, layout)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        assert facts.layout is not None
        choose.values.update(grid=self.codec.grid, groups=self.codec.config.groups, window=facts.layout.window)
        super().settle(choose, facts, time, machine)
        length = facts.layout.length
        batch = choose("batch", min(self.dataset.split("train").count, 2 ** int(np.log2(max(8, _TOKENS / length)))))
        choose("micro_batch", largest_share(batch, max(1, 8192 // length)))

    def longest(self, model: Model) -> int:
        assert isinstance(model, Film)
        return model.config.context - model.config.group

    def configured(self, plan: Plan) -> FilmConfig:
        assert isinstance(plan, FilmPlan)
        return FilmConfig.of(plan.architecture, **plan.shape)

    def task(self, plan: Plan) -> "FilmTask":
        assert isinstance(plan, FilmPlan)
        whole = FilmModel(self.initial or Film(self.configured(plan)), self.codec)
        if self.initial is None:
            whole.initialise(torch.Generator().manual_seed(plan.seed))
        return FilmTask(whole, self.dataset, plan, self.captions, self.classes)

    def _load(self, init: str) -> Film:
        """The model to go on with, whose words or classes are kept."""
        model = load_model(init, dtype=torch.float32)
        if not isinstance(model, FilmModel) or not _same(model.codec, self.codec):
            raise DaedalError(
                f"The model in {init} does not write tokens of {self.asked.codec}", f"Name {init}/codec by --codec"
            )
        if self.captions is not None:
            self.captions = CaptionCodec.load(resolve(init))
        layout = model.layout
        if (layout.words > 0, layout.classes) != (self.captions is not None, len(self.classes)):
            raise DaedalError(
                f"The model in {init} learned clips that have other captions or classes",
                "Start from another, or from nothing",
            )
        return model.inner


def _same(one: VQVAE3D, other: VQVAE3D) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _sized(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"clips of {channels // COLOURS} frames of {width} x {height} pixels"


class FilmTask(Task):
    """Trains a GPT on the tokens of clips, each after its caption or class, and some steps after their last frames besides."""

    unit = "tokens"

    def __init__(
        self,
        whole: FilmModel,
        dataset: ClipPictures,
        plan: FilmPlan,
        captions: CaptionCodec | None = None,
        classes: tuple[str, ...] = (),
    ) -> None:
        self.model: Any = whole.inner
        self.whole, self.dataset, self._captions, self.classes = whole, dataset, captions, classes
        self._seed, self._batch, self._dropout, self._ending = plan.seed, plan.batch, plan.label_dropout, plan.ending
        self.fingerprint = dataset.split("train").fingerprint
        columns: dict[str, str | None] = {"clip": CLIP_CODEC}
        columns |= {"caption": CAPTION_CODEC} if captions is not None else {"label": None} if classes else {}
        self.identity = Identity.of("film", "clips", columns, whole.capabilities, plan.codec)
        self._train, self._held = (
            _Coded(dataset, name, whole, captions, bool(classes)) for name in ("train", "validation")
        )

    def save(self, folder: Path) -> None:
        save_own(self.model, folder, self.classes)
        save_codecs(folder, self.dataset.clip_codec, self.whole.codec, self._captions)

    def batch(self, first: int, count: int) -> TokenBatch:
        places, _ = visit(first, count, len(self._train), self._seed)
        ids, last, labels = self._train.some(places.astype(np.int64))
        hidden = Noise(self._seed, first, count).uniform("label") < self._dropout
        labels = labels.masked_fill(hidden.view(-1, *[1] * (labels.ndim - 1)), -1)
        # rows of a step are of one length
        led = float(Noise(self._seed, first // self._batch, 1).uniform("ending")) < self._ending
        return self.whole.to_learn(ids, labels, last if led else None)

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count = min(VALIDATED, len(self._held))
        totals = torch.zeros(2)
        with torch.no_grad(), autocast:
            for first in islice(range(0, count, _TOGETHER), processes.rank, None, processes.count):
                ids, _, labels = self._held.some(np.arange(first, min(first + _TOGETHER, count)))
                batch = self.whole.to_learn(ids, labels).to(processes.device)
                totals += torch.tensor([float(self.model.loss(batch).total), float(batch.count)])
        totals = processes.sum(totals)
        return {"validation_loss": float(totals[0] / totals[1])} if float(totals[1]) else {}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """Clips that are written after held-out captions, a row each."""
        split = self._held if len(self._held) else self._train
        device = next(self.model.parameters()).device
        count = min(_SHOWN, len(split))
        drawn = self.whole.to(device).sample(Noise(seed, 0, count, device), split.labels[:count].to(device))
        return save_strips(to_frames(self.dataset.codec.decode_batch(drawn)), path)


class _Coded:
    """The clips of a split as tokens, which are made when they are first asked for and kept; those of their last frames; and
    their captions' ids or classes."""

    def __init__(
        self, dataset: ClipPictures, name: str, whole: FilmModel, captions: CaptionCodec | None, classes: bool
    ) -> None:
        split: ClipSplit = dataset.split(name)
        self._clips, self._whole, self._pixels = split.images, whole, dataset.codec
        config = whole.config
        self._ids = torch.full((split.count, config.groups * config.group), -1, dtype=torch.int32)
        self._last = torch.zeros((split.count, config.group), dtype=torch.int32)
        self.labels = torch.full((split.count,), -1)
        if captions is not None:
            told = captions_of(dataset.dataset, name)
            self.labels = captions.encode(told) if told else torch.full((0, captions.window), -1)
        elif classes:
            self.labels = torch.from_numpy(np.asarray(split.examples.classes("label"), dtype=np.int64))

    def __len__(self) -> int:
        return len(self._ids)

    def some(
        self, places: Int[np.ndarray, " clips"]
    ) -> tuple[Int[Tensor, "clips tokens"], Int[Tensor, "clips group"], Tensor]:
        missing = [int(each) for each in dict.fromkeys(places.tolist()) if int(self._ids[each, 0]) < 0]
        if missing:
            video = self._pixels.encode_batch(self._clips[missing])
            video = video.to(next(self._whole.codec.parameters()).device)
            self._ids[missing] = self._whole.encode_ids(video).flatten(1).int().cpu()
            self._last[missing] = self._whole.encode_ids(video[:, -COLOURS:]).flatten(1).int().cpu()
        at = torch.from_numpy(places)
        return self._ids[at].long(), self._last[at].long(), self.labels[at]


def captions_of(dataset: ExampleDataset, split: str = "train") -> list[str]:
    """The captions of a split; empty where a clip has none."""
    return [caption or "" for caption in dataset.split(split).values("caption")]


def classes_of(dataset: ExampleDataset) -> tuple[str, ...]:
    """The classes of clips, where they have any."""
    return dataset.classes("label") if dataset.has("label") else ()
