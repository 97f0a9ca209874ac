"""pass@k: how often at least one of k programs that a model writes for a problem passes its tests (Chen et al. 2021,
arXiv:2107.03374, equation 1).

Of `n` programs of a problem `c` passed. `C(n - c, k) / C(n, k)` is the chance that none of a set of `k` of them passed, so one
minus it is unbiased, whereas `1 - (1 - c / n) ** k` is too high for few programs. Problems are independent and weigh the same.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.means import share_of_pieces


def pass_at_k(
    written: Int[np.ndarray, " problems"], passed: Int[np.ndarray, " problems"], k: int
) -> Float[np.ndarray, " problems"]:
    """The unbiased estimate for each problem.

    Args:
        written: how many programs, at least `k` for each.
        passed: how many of them passed.

    Raises:
        ValueError: `k` is below 1, or there are fewer programs than that, or fewer than passed.
    """
    if k < 1 or np.any(written < k) or np.any(passed > written) or np.any(passed < 0):
        raise ValueError(f"pass@{k} needs {k} programs of each problem")
    # C(n - c, k) / C(n, k) is the product of (n - c - i) / (n - i): k factors, of which none overflows
    failed = (written - passed).astype(np.float64)
    factors = (failed[:, None] - np.arange(k)) / (written[:, None] - np.arange(k))
    found: Float[np.ndarray, " problems"] = 1.0 - np.prod(np.maximum(factors, 0.0), axis=1)
    return found


def measured(written: Int[np.ndarray, " problems"], passed: Int[np.ndarray, " problems"], k: int) -> dict[str, Any]:
    """Its mean over problems as the fields of a measurement; the interval is over problems."""
    return {**share_of_pieces(pass_at_k(written, passed, k), np.ones(len(written)), "problems"), "n": len(written)}
