"""Contextual calibration (Zhao et al. 2021, "Calibrate Before Use", doi:10.48550/arXiv.2102.09690): what a model says of a
question that says nothing, after the same examples, is its prejudice; it is divided out.

The choices' likelihoods after the content-free inputs, as probabilities and averaged, are `p`; the choice is the one with the
greatest `likelihood / p`: their diagonal `W = diag(p) ** -1`, `b = 0`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

CONTENT_FREE = ("N/A", "[MASK]", "")
"""Zhao et al.'s, section 5."""


def calibrated(
    nats: Float[np.ndarray, " choices"], free: Float[np.ndarray, "inputs choices"]
) -> Float[np.ndarray, " choices"]:
    """Log-likelihoods of the choices without what the model would say of anything.

    Args:
        nats: log-likelihoods after the question.
        free: the same after inputs without content.
    """
    shares = np.exp(free - free.max(1, keepdims=True))
    prejudice = (shares / shares.sum(1, keepdims=True)).mean(0)
    found: Float[np.ndarray, " choices"] = nats - np.log(np.maximum(prejudice, 1e-300))
    return found


def emptied(row: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A row whose texts say nothing."""
    return {name: text if isinstance(value, str) else value for name, value in row.items()}
