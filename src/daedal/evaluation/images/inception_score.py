"""The Inception Score (Salimans et al. 2016, arXiv:1606.03498): how sure a classifier is of each picture, and how many
different things it sees in all of them.

`exp(mean KL(p(y|x), p(y)))` of each of ten parts; the mean over them, as torch-fidelity computes it: the 1008 logits
without bias, pictures shuffled by the seed 2020.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.images.features import finite
from daedal.evaluation.means import Interval, mean_interval

SPLITS, SEED = 10, 2020
METHOD = "Student's t over the splits, 95 %"


@dataclass(frozen=True)
class InceptionScore:
    """The mean and the standard deviation (divisor n) over the splits, and the mean's interval."""

    value: float
    deviation: float
    interval: Interval | None


def inception_score(logits: Float[Tensor, "n classes"], splits: int = SPLITS, seed: int = SEED) -> InceptionScore:
    """The score of pictures from a classifier's logits.

    Raises:
        DaedalError: there are fewer pictures than splits, or logits are NaN or infinite.
    """
    n = len(logits)
    if n < splits:
        raise DaedalError(
            f"An Inception Score of {splits} splits needs {splits} pictures, and there are {n}", "Take more"
        )
    order = np.random.RandomState(seed).permutation(n)
    log = finite(logits, "An Inception Score")[torch.from_numpy(order).to(logits.device)].log_softmax(1)
    scores = []
    for split in range(splits):
        part = log[split * n // splits : (split + 1) * n // splits]
        p = part.exp()
        scores.append(float((p * (part - p.mean(0, keepdim=True).log())).nan_to_num(0.0).sum(1).mean().exp()))
    values = np.array(scores)
    possible = (1.0, float(logits.shape[1]))
    return InceptionScore(float(values.mean()), float(values.std()), mean_interval(values, possible))
