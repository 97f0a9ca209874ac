"""The tokenizer of clips: a VQ-VAE over groups of frames (`daedal.training.clip_groups`), whose channels are those of a few
frames, as the strides in time of VideoGPT (Yan et al. 2021, arXiv:2104.10157).

A group is one frame as yet: of groups of four, 150 CPU-seconds taught where things are and not how they move within a group,
and 4 % of true moving scenes passed their judge afterwards; of single frames 71 % after 130."""

from pathlib import Path
from typing import Any

import torch

from daedal.codecs.clip import CLIP_CODEC
from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid
from daedal.data.examples import ExampleDataset
from daedal.files import atomic_path, make_folder
from daedal.models.checkpoint import save_own
from daedal.models.identity import Identity
from daedal.training.clip_groups import ClipGroups, to_frames, to_groups
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.picture_plan import PicturePlan
from daedal.training.pictures import PictureLearner, PictureTask
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time

STRIDE = 1
"""Frames of a group."""
_TOKEN_RATE = 0.05  # the price of a nat: at that of pictures shapes are lost that move by less than a pixel
_SHOWN = 4  # clips of a sample


class ClipTokenTask(PictureTask):
    """Trains a tokenizer on groups of frames."""

    dataset: Any

    def __init__(self, model: Any, dataset: ClipGroups, plan: PicturePlan) -> None:
        super().__init__(model, dataset, plan, None)  # type: ignore[arg-type]
        self.identity = Identity.of(model.family, "clips", {"clip": CLIP_CODEC}, model.learned_capabilities)

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self.dataset.clip_codec.save(folder)

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """Clips, each above what becomes of it."""
        split = self.dataset.split("validation" if len(self.dataset.split("validation").clips) else "train")
        clips = split.clips[: min(_SHOWN, len(split.clips))]
        groups = to_groups(clips, self.dataset.stride)
        codec, device = self.dataset.codec, next(self.model.parameters()).device
        drawn = self.model.reconstruct(codec.encode_batch(groups.reshape(-1, *groups.shape[2:])).to(device))
        rebuilt = to_frames(codec.decode_batch(drawn).reshape(groups.shape), clips.shape[1])
        path = path.with_suffix(".png")
        make_folder(path.parent)
        shown = [to_image(frame) for pair in zip(clips, rebuilt, strict=True) for clip in pair for frame in clip]
        with atomic_path(path) as temporary:
            grid(shown, clips.shape[1], 1).save(temporary, format="PNG")
        return str(path)


class ClipTokenLearner(PictureLearner):
    """A tokenizer and the clips that it is to learn."""

    dataset: Any
    passes = "every group of frames is seen {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked, ClipGroups(dataset, STRIDE))  # type: ignore[arg-type]

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        super().settle(choose, facts, time, machine)
        if choose.values.get("rate"):
            choose("rate", _TOKEN_RATE)

    def task(self, plan: Plan) -> ClipTokenTask:
        assert isinstance(plan, PicturePlan)
        return ClipTokenTask(self.initial or self.begun(plan), self.dataset, plan)
