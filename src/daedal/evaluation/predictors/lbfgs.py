"""Minimising a smooth convex function of many numbers by L-BFGS (Liu and Nocedal 1989), on one thread: for vectors of this size
threads wait for each other longer than they work, ten times longer on a machine that is busy."""

from collections import deque
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " numbers"]
_MEMORY = 10
_FALL, _ENOUGH = 1e-4, 1e-7
_HALVED = 30


def minimise(loss: Callable[[Vector], tuple[float, Vector]], start: Vector, rounds: int) -> Vector:
    """Where a function is least, after so many rounds or when it falls by no more than a ten-millionth.

    Args:
        loss: its value and its gradient.
    """
    x, (value, slope) = start, loss(start)
    steps: deque[tuple[Vector, Vector, float]] = deque(maxlen=_MEMORY)
    for _ in range(rounds):
        direction = -_scaled(slope, steps)
        fall = _dot(slope, direction)
        size = 1.0 if steps else 1 / max(1.0, _dot(slope, slope) ** 0.5)
        for _ in range(_HALVED):
            tried = x + size * direction
            lower, there = loss(tried)
            if lower <= value + _FALL * size * fall:
                break
            size /= 2
        else:
            return x
        moved, bent = tried - x, there - slope
        if (curvature := _dot(moved, bent)) > 0:
            steps.append((moved, bent, curvature))
        gained = value - lower
        x, value, slope = tried, lower, there
        if gained <= _ENOUGH * max(1.0, abs(value)):
            break
    return x


def _scaled(slope: Vector, steps: deque[tuple[Vector, Vector, float]]) -> Vector:
    """The gradient times an inverse of the curvature that the last steps have shown."""
    found, shares = slope.copy(), []
    for moved, bent, curvature in reversed(steps):
        shares.append(_dot(moved, found) / curvature)
        found -= shares[-1] * bent
    if steps:
        _, bent, curvature = steps[-1]
        found *= curvature / _dot(bent, bent)
    for moved, bent, curvature in steps:
        found += (shares.pop() - _dot(bent, found) / curvature) * moved
    return found


def _dot(one: Vector, other: Vector) -> float:
    """Their product, which numpy sums on one thread; `@` would ask for all."""
    return float((one * other).sum())
