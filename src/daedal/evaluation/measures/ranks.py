"""Where the right one stands among all: recall among the first k, and the mean reciprocal rank (Voorhees 1999)."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FIRST = (1, 5, 10)
"""Among how many of the first something must be to be found."""


def ranks(
    scores: Float[Tensor, "queries others"], right: Bool[Tensor, "queries others"]
) -> Int[np.ndarray, " queries"]:
    """The place of the nearest right one, from 1: it stands behind all that are as near as it is."""
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    found: Int[np.ndarray, " queries"] = (((scores >= best) & ~right).sum(1) + 1).cpu().numpy()
    return found


def reciprocal(places: Int[np.ndarray, " queries"]) -> Float[np.ndarray, " queries"]:
    """1 over each rank; their mean is the mean reciprocal rank."""
    return 1.0 / places


def places_among(
    scores: Float[np.ndarray, "histories vocab"],
    histories: Sequence[Int[np.ndarray, " items"]],
    targets: Sequence[int],
    first: int,
) -> tuple[Float[np.ndarray, " histories"], Int[np.ndarray, "histories first"]]:
    """The place of each target among all items that its history has not, behind those of an equal score, infinite of one that
    is not ranked (score minus infinity); and the first so many of them, or all that there are. `scores` is overwritten."""
    rows = np.repeat(np.arange(len(histories)), [len(each) for each in histories])
    at = np.arange(len(targets)), np.asarray(targets)
    own = scores[at].copy()
    scores[rows, np.concatenate(histories) if len(rows) else rows] = -np.inf
    scores[at] = own
    places = np.where(np.isfinite(own), (scores >= own[:, None]).sum(1), np.inf)
    first = min(first, scores.shape[1])
    nearest = np.argpartition(-scores, first - 1, 1)[:, :first]
    order = np.argsort(-np.take_along_axis(scores, nearest, 1), 1, kind="stable")
    return places, np.take_along_axis(nearest, order, 1)


def discounted(places: Float[np.ndarray, " queries"], first: int) -> Float[np.ndarray, " queries"]:
    """The normalised discounted cumulative gain among the first of a single right one: `1 / log2(1 + place)`, or 0 behind them
    (NDCG; Järvelin and Kekäläinen 2002)."""
    return np.where(places <= first, 1 / np.log2(1 + places), 0.0)
