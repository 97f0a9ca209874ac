"""Solvers of ordinary differential equations `dx/dt = field(x, t)`; the times are given, so that a sampler may choose them."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch *shape"]
Field = Callable[[State, float], State]
Step = Callable[[Field, State, float, float], State]
"""From the state at one time to that at the next."""


def euler(field: Field, x: State, start: float, stop: float) -> State:
    """First order, one evaluation."""
    return x + (stop - start) * field(x, start)


def heun(field: Field, x: State, start: float, stop: float) -> State:
    """Second order, two evaluations: the mean of the slopes at both ends."""
    step = stop - start
    slope = field(x, start)
    return x + step / 2 * (slope + field(x + step * slope, stop))


def rk4(field: Field, x: State, start: float, stop: float) -> State:
    """Fourth order, four evaluations (Kutta 1901)."""
    step, middle = stop - start, (start + stop) / 2
    one = field(x, start)
    two = field(x + step / 2 * one, middle)
    three = field(x + step / 2 * two, middle)
    four = field(x + step * three, stop)
    return x + step / 6 * (one + 2 * two + 2 * three + four)


SOLVERS: dict[str, Step] = {"euler": euler, "heun": heun, "rk4": rk4}


def integrate(field: Field, x: State, times: Sequence[float], step: Step) -> State:
    """The state at the last of `times`, from that at the first; the times may fall."""
    for start, stop in pairwise(times):
        x = step(field, x, start, stop)
    return x
