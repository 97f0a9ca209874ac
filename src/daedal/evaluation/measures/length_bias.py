"""Whether what a judge prefers is only longer: how its verdicts go with the difference of two answers' lengths, and what they
come to where the lengths are equal.

Judges, people and models alike, like long answers (Singhal et al. 2023, arXiv:2310.03716), and a model can learn to please them
by that alone.
"""

import numpy as np
from jaxtyping import Float

from daedal.evaluation.bootstrap import REPLICATES
from daedal.evaluation.intervals import LEVEL

Array = np.ndarray
_ROUNDS, _STILL = 25, 1e-6
_PRIOR = 1e-2  # of the squared weights, that verdicts without an exception leave them finite


def aligned(ahead: Float[Array, " pairs"], longer: Float[Array, " pairs"]) -> float:
    """The correlation of two differences, -1 to 1, about 0 and not about their means: so which of a pair stands first does not
    matter."""
    norm = float(np.sqrt((ahead @ ahead) * (longer @ longer)))
    return float(ahead @ longer) / norm if norm > 0 else 0.0


def without_length(ahead: Float[Array, " pairs"], longer: Float[Array, " pairs"]) -> Float[Array, " pairs"]:
    """What is left of one difference when as much of the other is taken off as explains it best: least squares through 0."""
    square = float(longer @ longer)
    found: Float[Array, " pairs"] = ahead - longer * (float(ahead @ longer) / square if square > 0 else 0.0)
    return found


def controlled_win_rate(
    won: Float[Array, " pairs"], longer: Float[Array, " pairs"], weights: Float[Array, "times pairs"] | None = None
) -> Float[Array, " times"]:
    """The win rate that a logistic regression on the lengths gives for answers of equal length (Dubois et al. 2024,
    arXiv:2404.04475, without its term for how hard a prompt is, which takes many models to fit).

        logit p(win) = a + b tanh(length difference / its deviation)        win rate at equal length = sigmoid(a)

    Args:
        won: 1, 0, or 1/2 where neither did.
        longer: length of the one's answer less that of the other's.
        weights: of the pairs, once for each answer that is wanted; all alike, once, unless given.
    """
    spread = float(longer.std())
    x = np.tanh(longer / spread) if spread > 0 else np.zeros(len(longer))
    weights = np.ones((1, len(won))) if weights is None else weights
    a, b = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(_ROUNDS):  # Newton's steps, of all fits at once
        p = 1 / (1 + np.exp(-np.clip(a[:, None] + b[:, None] * x, -30, 30)))
        off, curve = weights * (won - p), weights * p * (1 - p)
        slope_a, slope_b = off.sum(1) - _PRIOR * a, off @ x - _PRIOR * b
        aa, ab, bb = curve.sum(1) + _PRIOR, curve @ x, curve @ (x * x) + _PRIOR
        size = aa * bb - ab * ab
        step_a, step_b = (bb * slope_a - ab * slope_b) / size, (aa * slope_b - ab * slope_a) / size
        scale = np.minimum(1.0, 4.0 / np.maximum(np.hypot(step_a, step_b), 1e-12))
        a, b = a + scale * step_a, b + scale * step_b
        if max(np.abs(step_a).max(), np.abs(step_b).max()) < _STILL:
            break
    found: Float[Array, " times"] = 1 / (1 + np.exp(-a))
    return found


def controlled_win_rate_interval(
    won: Float[Array, " pairs"], longer: Float[Array, " pairs"], seed: int = 0
) -> tuple[float, float] | None:
    """The percentile interval of that over pairs that are drawn again; None for fewer than two."""
    n = len(won)
    if n < 2:
        return None
    draw = np.random.Generator(np.random.Philox(seed))
    parts = [draw.multinomial(n, np.full(n, 1 / n), size=REPLICATES // 4).astype(np.float64) for _ in range(4)]
    found = np.concatenate([controlled_win_rate(won, longer, part) for part in parts])
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
