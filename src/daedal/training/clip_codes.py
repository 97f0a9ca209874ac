"""Clips as the codes that a tokenizer makes of them, and what is said of each: what the families that learn them share."""

from abc import abstractmethod
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec
from daedal.codecs.clip import CLIP_CODEC
from daedal.data.examples import ExampleDataset
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve, save_codecs, save_own
from daedal.models.film_model import FilmModel
from daedal.models.identity import Identity
from daedal.models.layout import TokenLayout
from daedal.models.model import Model
from daedal.models.vqvae3d import COLOURS, VQVAE3D
from daedal.nn.noise import Noise
from daedal.training.clip_pictures import ClipPictures, ClipSplit, to_frames
from daedal.training.clip_tokens import save_strips
from daedal.training.film_plan import FilmFlowPlan, FilmPlan
from daedal.training.learner import Facts, Request
from daedal.training.processes import Processes
from daedal.training.task import Task

VALIDATED = 400
"""Held-out clips that a pass of validation takes at most."""
_SHOWN = 8  # clips of a sample


class CodedClips:
    """The clips of a data folder, the tokenizer whose codes of them are learned, and what is said of them: captions, or classes
    where there are no captions.

    Raises:
        DaedalError: the model that is named is no tokenizer of clips of that size.
    """

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        codec = load_model(str(asked.codec))
        if not isinstance(codec, VQVAE3D):
            raise DaedalError(f"The {codec.family} in {asked.codec} makes no tokens of clips", "Name a vqvae3d's run")
        self.asked, self.codec, self.dataset = asked, codec.requires_grad_(False), ClipPictures(dataset)
        if self.dataset.codec.shape != codec.config.shape:
            raise DaedalError(
                f"The codec in {asked.codec} knows {_sized(codec.config.shape)}, and the data has "
                f"{_sized(self.dataset.codec.shape)}",
                "Train the codec on data of that size",
            )
        told = _captions_of(dataset, "train")
        self.captions = CaptionCodec.train(told) if any(told) else None
        self.classes = () if self.captions or not dataset.has("label") else dataset.classes("label")

    @property
    def layout(self) -> TokenLayout:
        """How many tokens a clip has, and what is said of it."""
        captions, places = self.captions, int(np.prod(self.codec.grid))
        said = {"classes": len(self.classes)}
        if captions is not None:
            said = {"words": captions.vocab_size, "window": captions.window}
        return TokenLayout(self.codec.vocab_size, places, **said)

    def facts(self) -> Facts:
        """Clips to learn, and to validate on."""
        train, held = (self.dataset.split(name).count for name in ("train", "validation"))
        return Facts(train, min(VALIDATED, held))

    def begin(self, init: str) -> Any:
        """The model of codes to go on with, whose words or classes are kept.

        Raises:
            DaedalError: it learned other codes, or clips of which something else is said.
        """
        model = load_model(init, dtype=torch.float32)
        if not isinstance(model, FilmModel) or model.family != self.asked.family or not _same(model.codec, self.codec):
            raise DaedalError(
                f"The model in {init} is no {self.asked.family} over the tokens of {self.asked.codec}",
                f"Name {init}/codec by --codec" if isinstance(model, FilmModel) else "Start from another",
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

    def split(self, name: str) -> "CodedSplit":
        """The clips of a split."""
        return CodedSplit(self, name)


class CodedSplit:
    """The clips of a split as tokens, which are made when they are first asked for and kept; those of their last frames; and
    their captions' ids or classes."""

    def __init__(self, clips: CodedClips, name: str) -> None:
        split: ClipSplit = clips.dataset.split(name)
        self._clips, self._codec, self._pixels = split.images, clips.codec, clips.dataset.codec
        (rows, columns), groups = self._codec.grid, self._codec.config.groups
        self._ids = torch.full((split.count, rows * columns), -1, dtype=torch.int32)
        self._last = torch.zeros((split.count, rows * columns // groups), dtype=torch.int32)
        self.labels = torch.full((split.count,), -1)
        if clips.captions is not None:
            told = _captions_of(clips.dataset.dataset, name)
            self.labels = clips.captions.encode(told) if told else torch.full((0, clips.captions.window), -1)
        elif clips.classes:
            self.labels = torch.from_numpy(np.asarray(split.examples.classes("label"), dtype=np.int64))

    def __len__(self) -> int:
        return len(self._ids)

    def some(
        self, places: Int[np.ndarray, " clips"]
    ) -> tuple[Int[Tensor, "clips tokens"], Int[Tensor, "clips group"], Tensor]:
        missing = [int(each) for each in dict.fromkeys(places.tolist()) if int(self._ids[each, 0]) < 0]
        if missing:
            video = self._pixels.encode_batch(self._clips[missing])
            video = video.to(next(self._codec.parameters()).device)
            self._ids[missing] = self._codec.encode_ids(video).flatten(1).int().cpu()
            self._last[missing] = self._codec.encode_ids(video[:, -COLOURS:]).flatten(1).int().cpu()
        at = torch.from_numpy(places)
        return self._ids[at].long(), self._last[at].long(), self.labels[at]


class CodedClipsTask(Task):
    """Trains a model of the codes of clips.

    Attributes:
        together: clips validated at once.
    """

    together: ClassVar[int]

    def __init__(self, whole: FilmModel, clips: CodedClips, plan: FilmPlan | FilmFlowPlan) -> None:
        self.model: Any = whole.inner
        self.whole, self.dataset, self._captions, self.classes = whole, clips.dataset, clips.captions, clips.classes
        self._seed, self._batch, self._ending = plan.seed, plan.batch, plan.ending
        self.fingerprint = clips.dataset.split("train").fingerprint
        columns: dict[str, str | None] = {"clip": CLIP_CODEC}
        columns |= (
            {"caption": CAPTION_CODEC} if clips.captions is not None else {"label": None} if clips.classes else {}
        )
        self.identity = Identity.of(whole.family, "clips", columns, whole.capabilities, plan.codec)
        self._train, self._held = (clips.split(name) for name in ("train", "validation"))

    def save(self, folder: Path) -> None:
        save_own(self.model, folder, self.classes)
        save_codecs(folder, self.dataset.clip_codec, self.whole.codec, self._captions)

    def leads(self, first: int) -> bool:
        """Whether the step of an example tells the last frames of clips: all of a step, whose rows are then of one length."""
        return float(Noise(self._seed, first // self._batch, 1).uniform("ending")) < self._ending

    @abstractmethod
    def held(self, places: Int[np.ndarray, " clips"]) -> tuple[Any, int]:
        """A batch of held-out clips, and how many things its loss is a sum over."""

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count = min(VALIDATED, len(self._held))
        totals = torch.zeros(2)
        with torch.no_grad(), autocast:
            for first in islice(range(0, count, self.together), processes.rank, None, processes.count):
                batch, things = self.held(np.arange(first, min(first + self.together, count)))
                totals += torch.tensor([float(self.model.loss(batch.to(processes.device)).total), float(things)])
        totals = processes.sum(totals)
        return {"validation_loss": float(totals[0] / totals[1])} if float(totals[1]) else {}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """Clips that are made after held-out captions, a row each."""
        split = self._held if len(self._held) else self._train
        device = next(self.model.parameters()).device
        count = min(_SHOWN, len(split))
        drawn = self.whole.to(device).sample(Noise(seed, 0, count, device), split.labels[:count].to(device))
        return save_strips(to_frames(self.dataset.codec.decode_batch(drawn)), path)


def _captions_of(dataset: ExampleDataset, split: str) -> list[str]:
    """The captions of a split; empty where a clip has none."""
    return [caption or "" for caption in dataset.split(split).values("caption")]


def _same(one: Model, other: Model) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _sized(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"clips of {channels // COLOURS} frames of {width} x {height} pixels"
