"""Whether a model's clips are copies of training clips, over small clips of equal contrast, by `images/memorization`."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from daedal.evaluation.blocks import Sheet
from daedal.evaluation.clips.contact_sheet import contact_sheet
from daedal.evaluation.clips.motion_network import as_planes
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.images.copying import copying
from daedal.evaluation.kinds.clips import Clips, ClipSubject, frames_of

NEIGHBOURS = "neighbours.png"
_TRAIN, _AT_ONCE = 4000, 250
_SIDE, _FRAMES = 8, 8
"""Pixels of a side and frames at which clips are compared, at most."""
_LEAST_CONTRAST = 0.02
_SHOWN = 6


class ClipCopies(Evaluator[ClipSubject]):
    """Authenticity, the test for copies, and the nearest training clips."""

    needs, columns = frozenset({"film"}), frozenset({"clip", "train"})
    lacking = "What was copied: the training clips are not at hand"

    def seconds(self, subject: ClipSubject, within: float) -> float:
        return 2e-3 * min(_TRAIN, len(subject.train or ()))

    def measure(self, subject: ClipSubject, within: float, tell: Tell) -> Findings:
        tell(0, "looking for copies")
        assert subject.train is not None
        assert subject.drawn is not None
        made, held, places = subject.drawn, frames_of(subject.used), spread(len(subject.train), _TRAIN)
        learned = torch.cat([
            _alike(frames_of(subject.train.at(places[first : first + _AT_ONCE])))
            for first in range(0, len(places), _AT_ONCE)
        ])  # fmt: skip
        how = {"space": f"contrast-at-{_SIDE}-pixels-{_FRAMES}-frames", "train": len(learned), "samples": len(made)}
        found = copying(
            _alike(made), _alike(held), learned, ("clips", "clips"), how, {subject.held.name: len(held)}, pieces="clips",
            **subject.about,
        )  # fmt: skip
        closest = np.argsort(found.near.distances, kind="stable")[:_SHOWN]
        beside = frames_of(subject.train.at(places[found.near.indices[closest]]))
        rows = [clip for pair in zip(made[closest], beside, strict=True) for clip in pair]
        says = (
            "The clips that are nearest to a training clip, each above that clip. If both are the same, it was copied."
        )
        return Findings(
            (found.authentic, *found.tested), missing=found.missing,
            blocks=(Sheet(title="What it copies", says=says, file=NEIGHBOURS),),
            pictures={NEIGHBOURS: contact_sheet(rows)},
        )  # fmt: skip


def _alike(clips: Clips) -> Float[Tensor, "clips values"]:
    """Clips of few frames, averaged over squares, brought to one brightness and contrast: else a pale or blurred clip would
    be near to every other."""
    count = clips.shape[1]
    frames = np.unique(np.arange(min(count, _FRAMES)) * count // min(count, _FRAMES))
    x = as_planes(clips[:, frames]).flatten(0, 1)
    times = math.ceil(max(x.shape[2:]) / _SIDE)
    values = (F.avg_pool2d(x, times, ceil_mode=True) if times > 1 else x).reshape(len(clips), -1)
    values = values - values.mean(1, keepdim=True)
    return values / values.std(1, correction=0, keepdim=True).clamp_min(_LEAST_CONTRAST) / math.sqrt(values.shape[1])
