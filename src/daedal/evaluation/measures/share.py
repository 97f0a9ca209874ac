"""Shares, for measures whose denominators may be nothing."""

import numpy as np
from jaxtyping import Float


def share(part: Float[np.ndarray, "*n"], whole: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """One over the other, number by number; 0 where there is nothing to have a share of."""
    found: Float[np.ndarray, "*n"] = np.divide(
        part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0
    )
    return found
