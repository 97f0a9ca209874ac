"""How well a CLIP finds a picture's text among those of others, and a text's pictures among others, beside chance.

A text is met where any picture with an equal caption is among the first k; a picture, where its own caption is.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from daedal.codecs.caption import tidy
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images.features import finite
from daedal.evaluation.kinds.pictures import PictureSubject
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Baseline

FIRST = (1, 5, 10)
"""Among how many of the first something must be to be found."""
FEWEST = 2


class Matching(Evaluator[PictureSubject]):
    """Recall of a CLIP among held-out pictures that have a caption, and their captions."""

    needs, columns = frozenset({"match"}), frozenset({"pictures", "captions"})
    lacking = "What it matches: the pictures have no captions"

    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        """
        Raises:
            DaedalError: there are no two different captions, or a direction is NaN or infinite.
        """
        tell(0, "matching pictures and texts")
        generator, held = subject.generator, subject.held
        known = [place for place, caption in enumerate(held.captions) if tidy(caption)]
        texts, right = distinct([held.captions[place] for place in known])
        pictures = generator.embed_pictures([held.pictures[place] for place in known]).cpu()
        found, chance = retrieval(pictures, generator.embed_texts(texts).cpu(), right, **subject.about)
        return Findings(tuple(found), (chance,))


def retrieval(
    pictures: Float[Tensor, "pictures embedding"],
    texts: Float[Tensor, "texts embedding"],
    right: Bool[Tensor, "pictures texts"],
    *,
    model_hash: str,
    data_hash: str,
) -> tuple[list[Measurement], Baseline]:
    """Recall in both directions, and what chance would find.

    Args:
        pictures: directions of held-out pictures.
        texts: directions of their captions, equal ones once.
        right: which caption is which picture's.

    Raises:
        DaedalError: a direction is NaN or infinite.
    """
    near = finite(pictures, "Recall") @ finite(texts, "Recall", "texts").mT
    found, chance = [], []
    for name, quantity, scores, fits, pieces in (
        ("text of a picture", "text-recall", near, right, "pictures"),
        ("picture of a text", "picture-recall", near.mT, right.mT, "texts"),
    ):
        n, others = scores.shape
        places = _first_right(scores, fits)
        for first in FIRST:
            hits = int((places < first).sum())
            about = {
                "name": f"{name}, in the first {first}", "unit": "", "pieces": pieces, "better": "higher",
                "definition": define(f"{quantity}-{first}", 1, pictures=len(pictures), texts=len(texts)),
                "data_hash": data_hash,
            }  # fmt: skip
            found.append(Measurement.parse({**about, **share_of(hits, n), "model_hash": model_hash}, name))
            lucky = [_chance(others, int(count), first) for count in fits.sum(1).tolist()]
            chance.append(Measurement.parse({**about, "value": float(np.mean(lucky)), "n": n}, name))
    return found, Baseline(
        name="chance", why="what an order that knows nothing finds, on average", measurements=tuple(chance)
    )


def distinct(captions: Sequence[str]) -> tuple[list[str], Bool[Tensor, "pictures texts"]]:
    """Captions, equal ones once, and which is whose.

    Raises:
        DaedalError: there are fewer than two.
    """
    told = [tidy(caption) for caption in captions]
    texts = list(dict.fromkeys(told))
    if len(texts) < FEWEST:
        raise DaedalError("The pictures have no two different captions", "Measure on pictures that have")
    place = {text: at for at, text in enumerate(texts)}
    right = torch.zeros(len(told), len(texts), dtype=torch.bool)
    right[torch.arange(len(told)), torch.tensor([place[text] for text in told])] = True
    return texts, right


def _first_right(scores: Float[Tensor, "n others"], right: Bool[Tensor, "n others"]) -> Int[Tensor, " n"]:
    """How many others are at least as near as the nearest right one: of equal ones the right one is taken to be last."""
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    return ((scores >= best) & ~right).sum(1)


def _chance(others: int, right: int, first: int) -> float:
    """That one of `right` is among the first of `others` in an order by chance."""
    return 1 - math.comb(others - right, first) / math.comb(others, min(first, others)) if others > first else 1.0
