"""Where the right one stands among all: recall among the first k, and the mean reciprocal rank (Voorhees 1999)."""

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
