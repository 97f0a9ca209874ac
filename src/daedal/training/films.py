"""A GPT that learns to write clips after their captions, as the tokens that a tokenizer makes of them."""

import math
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
from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.files import atomic_folder, atomic_path, make_folder
from daedal.models.checkpoint import load_model, save_own
from daedal.models.film import Film, FilmConfig, FilmModel
from daedal.models.identity import CODEC, Identity
from daedal.models.layout import TokenLayout
from daedal.models.model import TokenBatch
from daedal.models.vqvae import VQVAE
from daedal.nn.noise import Noise
from daedal.training.clip_groups import ClipGroups, GroupSplit, groups_of, to_frames, to_groups
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
_BATCH, _TOGETHER, _SHOWN = 16, 8, 8  # clips of a step, validated at once, of a sample


class FilmLearner(GPTLearner):
    """A GPT and the clips that it is to learn."""

    dataset: Any
    guarded = "tokens"
    architecture = "swift"  # what learns the tokens of our own tokenizer opens in no other program anyway
    passes = "every clip is seen {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        if asked.init is not None:
            raise DaedalError("A film is learned from nothing yet", "Leave --init away")
        codec = load_model(str(asked.codec))
        if not isinstance(codec, VQVAE) or codec.config.channels % 3:
            raise DaedalError(f"The {codec.family} in {asked.codec} makes no tokens of clips", "Name one of clips")
        self.codec = codec.requires_grad_(False)
        self.dataset = ClipGroups(dataset, codec.config.channels // 3)
        if self.dataset.codec.shape != codec.config.shape:
            raise DaedalError(
                f"The codec in {asked.codec} knows frames of {codec.config.shape[1:]}, and the data has "
                f"{self.dataset.codec.shape[1:]}",
                "Train the codec on data of that size",
            )
        told = captions_of(dataset)
        self.captions = CaptionCodec.train(told) if any(told) else None

    def facts(self, given: Mapping[str, Any]) -> Facts:
        rows, columns = self.codec.grid
        groups, captions = groups_of(self.dataset.clip_codec.frames, self.dataset.stride), self.captions
        said = {} if captions is None else {"words": captions.vocab_size, "window": captions.window}
        layout = TokenLayout(self.codec.vocab_size, groups * rows * columns, **said)
        train, held = (len(self.dataset.split(name).clips) for name in ("train", "validation"))
        return Facts(train * layout.length, min(VALIDATED, held) * layout.length, layout.vocab_size, layout)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        assert facts.layout is not None
        rows, columns = self.codec.grid
        groups = facts.layout.places // (rows * columns)
        choose.values.update(grid=(groups * rows, columns), groups=groups, window=facts.layout.window)
        super().settle(choose, facts, time, machine)
        batch = choose("batch", _BATCH)
        choose("micro_batch", largest_share(batch, max(1, 8192 // choose.values["context"])))

    def configured(self, plan: Plan) -> FilmConfig:
        assert isinstance(plan, FilmPlan)
        return FilmConfig.of(plan.architecture, **plan.shape)

    def task(self, plan: Plan) -> "FilmTask":
        assert isinstance(plan, FilmPlan)
        whole = FilmModel(Film(self.configured(plan)), self.codec)
        whole.initialise(torch.Generator().manual_seed(plan.seed))
        return FilmTask(whole, self.dataset, plan, self.captions)


class FilmTask(Task):
    """Trains a GPT on the tokens of clips, each after its caption."""

    unit = "tokens"

    def __init__(
        self, whole: FilmModel, dataset: ClipGroups, plan: FilmPlan, captions: CaptionCodec | None = None
    ) -> None:
        self.model: Any = whole.inner
        self.whole, self.dataset, self._captions, self._seed = whole, dataset, captions, plan.seed
        self.fingerprint = dataset.split("train").fingerprint
        columns = {"clip": CLIP_CODEC} | ({} if captions is None else {"caption": CAPTION_CODEC})
        self.identity = Identity.of("film", "clips", columns, whole.capabilities, plan.codec)
        self._dropout = plan.label_dropout
        self._train, self._held = (_Coded(dataset, name, whole, captions) for name in ("train", "validation"))

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self.dataset.clip_codec.save(folder)
        if self._captions is not None:
            self._captions.save(folder)
        if not (folder / CODEC).is_dir():
            with atomic_folder(folder / CODEC) as temporary:
                save_own(self.whole.codec, temporary)
                self.dataset.clip_codec.save(temporary)

    def batch(self, first: int, count: int) -> TokenBatch:
        places, _ = visit(first, count, len(self._train), self._seed)
        ids, labels = self._train.some(places.astype(np.int64))
        hidden = Noise(self._seed, first, count).uniform("label") < self._dropout
        return self.whole.layout.to_draw(ids, labels.masked_fill(hidden.view(-1, *[1] * (labels.ndim - 1)), -1))

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count = min(VALIDATED, len(self._held))
        totals = torch.zeros(2)
        with torch.no_grad(), autocast:
            for first in islice(range(0, count, _TOGETHER), processes.rank, None, processes.count):
                rows = np.arange(first, min(first + _TOGETHER, count))
                batch = self.whole.layout.to_draw(*self._held.some(rows)).to(processes.device)
                totals += torch.tensor([float(self.model.loss(batch).total), float(batch.count)])
        totals = processes.sum(totals)
        return {"validation_loss": float(totals[0] / totals[1])} if float(totals[1]) else {}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """Clips that are written after held-out captions, a row each."""
        split = self._held if len(self._held) else self._train
        device = next(self.model.parameters()).device
        count = min(_SHOWN, len(split))
        groups = self.whole.to(device).sample(Noise(seed, 0, count, device), split.labels[:count].to(device))
        pixels = self.dataset.codec.decode_batch(groups.flatten(0, 1)).reshape(
            count, groups.shape[1], *groups.shape[3:], -1
        )
        clips = to_frames(pixels, self.dataset.clip_codec.frames)
        path = path.with_suffix(".png")
        make_folder(path.parent)
        with atomic_path(path) as temporary:
            grid([to_image(frame) for clip in clips for frame in clip], clips.shape[1], 1).save(temporary, format="PNG")
        return str(path)


class _Coded:
    """The clips of a split as tokens, which are made when they are first asked for and kept; and their captions' ids."""

    def __init__(self, dataset: ClipGroups, name: str, whole: FilmModel, captions: CaptionCodec | None) -> None:
        split: GroupSplit = dataset.split(name)
        self._clips, self._whole, self._dataset = split.clips, whole, dataset
        grid = whole.inner.config.grid
        assert grid is not None
        self._ids = torch.full((len(split.clips), math.prod(grid)), -1, dtype=torch.int32)
        self.labels = torch.full((len(split.clips),), -1)
        if captions is not None:
            told = captions_of(dataset.dataset, name)
            self.labels = captions.encode(told) if told else torch.full((0, captions.window), -1)

    def __len__(self) -> int:
        return len(self._ids)

    def some(self, places: Int[np.ndarray, " clips"]) -> tuple[Int[Tensor, "clips tokens"], Tensor]:
        missing = [int(each) for each in dict.fromkeys(places.tolist()) if int(self._ids[each, 0]) < 0]
        if missing:
            groups = to_groups(self._clips[missing], self._dataset.stride)
            images = self._dataset.codec.encode_batch(groups.reshape(-1, *groups.shape[2:]))
            device = next(self._whole.codec.parameters()).device
            made = self._whole.encode_ids(images.view(*groups.shape[:2], *images.shape[1:]).to(device))
            self._ids[missing] = made.flatten(1).int().cpu()
        at = torch.from_numpy(places)
        return self._ids[at].long(), self.labels[at]


def captions_of(dataset: ExampleDataset, split: str = "train") -> list[str]:
    """The captions of a split; empty where a clip has none."""
    return [caption or "" for caption in dataset.split(split).values("caption")]
