"""Features as the metrics take them: in float64, and finite. A NaN would pass through most formulas as a number that looks
like any other: it is never less than anything, and a score skips it."""

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError


def finite(features: Float[Tensor, "n features"], metric: str, pieces: str = "pictures") -> Float[Tensor, "n features"]:
    """The same in float64.

    Args:
        metric: what is to be measured, as a sentence begins: "A Fréchet distance".
        pieces: what a row is of.

    Raises:
        DaedalError: some are NaN or infinite.
    """
    values = features.double()
    if bad := int((~torch.isfinite(values)).any(1).sum()):
        raise DaedalError(
            f"{metric} needs finite features, and those of {bad:,} of {len(values):,} {pieces} are NaN or infinite",
            "The network that sees them is damaged or overflows: restore its weights, or use another",
        )
    return values
