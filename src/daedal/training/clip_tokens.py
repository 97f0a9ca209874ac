"""The tokenizer of clips: it learns them as pictures are learned (`daedal.training.clip_pictures`)."""

from collections.abc import Sequence
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
from daedal.training.clip_pictures import ClipPictures, Clips, to_frames
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.picture_plan import PicturePlan
from daedal.training.pictures import PictureLearner, PictureTask
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time

_SHOWN = 4  # clips of a sample
_FILTERS, _MANY, _LONG = 64, 96, 600.0  # many learn more a step and are ahead after so many seconds


class ClipTokenTask(PictureTask):
    """Trains a tokenizer on clips."""

    unit = "clips"
    dataset: Any

    def __init__(self, model: Any, dataset: ClipPictures, plan: PicturePlan) -> None:
        super().__init__(model, dataset, plan, None)  # type: ignore[arg-type]
        self.identity = Identity.of(model.family, "clips", {"clip": CLIP_CODEC}, model.learned_capabilities)

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self.dataset.clip_codec.save(folder)

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """Clips, each above what becomes of it."""
        split = self.dataset.split("validation" if self.dataset.split("validation").count else "train")
        shown, codec = split.images[:_SHOWN], self.dataset.codec
        drawn = self.model.reconstruct(codec.encode_batch(shown).to(next(self.model.parameters()).device))
        both = zip(to_frames(shown), to_frames(codec.decode_batch(drawn)), strict=True)
        return save_strips([clip for pair in both for clip in pair], path)


def save_strips(clips: Sequence[Any] | Clips, path: Path) -> str:
    """Write clips as a PNG file, a row each; says where."""
    path = path.with_suffix(".png")
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        grid([to_image(frame) for clip in clips for frame in clip], len(clips[0]), 1).save(temporary, format="PNG")
    return str(path)


class ClipTokenLearner(PictureLearner):
    """A tokenizer and the clips that it is to learn."""

    dataset: Any
    passes = "every clip is seen {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked, ClipPictures(dataset))  # type: ignore[arg-type]

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        if self.initial is None:
            choose("filters", _FILTERS if time.seconds < _LONG else _MANY)
        super().settle(choose, facts, time, machine)

    def task(self, plan: Plan) -> ClipTokenTask:
        assert isinstance(plan, PicturePlan)
        return ClipTokenTask(self.initial or self.begun(plan), self.dataset, plan)
