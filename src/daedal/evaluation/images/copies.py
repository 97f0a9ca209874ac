"""Whether a model's samples are copies of training pictures, over small pictures of equal contrast: the evaluator over
`memorization`."""

import math

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from daedal.codecs.raster import to_image
from daedal.codecs.sheet import pairs
from daedal.evaluation.blocks import Sheet
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.images.copying import copying
from daedal.evaluation.images.features import Pictures, as_planes
from daedal.evaluation.kinds.pictures import PictureSubject

NEIGHBOURS = "neighbours.png"
_TRAIN = 10_000
_SIDE = 16
"""Pixels of a side at which pictures are compared."""
_LEAST_CONTRAST = 0.02


class Copies(Evaluator[PictureSubject]):
    """Authenticity, the test for copies, and the nearest training picture of each sample."""

    needs, columns = frozenset({"sample"}), frozenset({"pictures", "train"})
    lacking = "What was copied: the training pictures are not at hand"

    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        tell(0, "looking for copies")
        train, drawn, reference = subject.reference.train_pictures, subject.drawn, subject.reference
        assert train is not None
        assert drawn is not None
        samples, held_out = drawn.pictures, subject.held.pictures
        learned = np.asarray(train[spread(len(train), _TRAIN)])
        features = _alike(learned)
        how = {"space": f"contrast-at-{_SIDE}-pixels", "train": len(learned), "samples": len(samples)}
        found = copying(
            _alike(samples), _alike(held_out), features, ("samples", "pictures"), how, {reference.name: len(held_out)},
            pieces="pictures", **subject.about,
        )  # fmt: skip
        closest = np.argsort(found.near.distances, kind="stable")[:16]
        says = (
            "The samples that are nearest to a training picture, each above that picture. If both are the same picture, the "
            "model has copied it."
        )
        return Findings(
            (found.authentic, *found.tested), missing=found.missing,
            blocks=(Sheet(title="What it copies", says=says, file=NEIGHBOURS),),
            pictures={NEIGHBOURS: pairs(_images(samples[closest]), _images(learned[found.near.indices[closest]]))},
        )  # fmt: skip


def _images(pictures: Pictures) -> list[Image.Image]:
    return [to_image(each) for each in pictures]


def _alike(pictures: Pictures) -> Float[Tensor, "n values"]:
    """Pictures averaged over squares until a side has at most sixteen pixels, then brought to one brightness and contrast: else
    a pale or blurred picture would be near to every other."""
    x = as_planes(pictures) / 255
    times = math.ceil(max(x.shape[2:]) / _SIDE)
    values = (F.avg_pool2d(x, times, ceil_mode=True) if times > 1 else x).flatten(1)
    values = values - values.mean(1, keepdim=True)
    return values / values.std(1, correction=0, keepdim=True).clamp_min(_LEAST_CONTRAST) / math.sqrt(values.shape[1])
