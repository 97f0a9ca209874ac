"""Solvers of ordinary differential equations `dx/dt = field(x, t)`; the times are given, so that a sampler may choose them.

A step asks for slopes one after the other and is sent each, so that whoever answers may answer several steps at once.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch *shape"]
Field = Callable[[State, float], State]
End = TypeVar("End")
Asking = Generator[tuple[State, float], State, End]
"""Asks for the slope at a state and time, is sent it, and ends with a result."""
Solver = Callable[[State, float, float], Asking[State]]
"""From the state at one time to that at the next."""


def euler(x: State, start: float, stop: float) -> Asking[State]:
    """First order, one evaluation."""
    slope = yield x, start
    return x + (stop - start) * slope


def heun(x: State, start: float, stop: float) -> Asking[State]:
    """Second order, two evaluations: the mean of the slopes at both ends."""
    step = stop - start
    slope = yield x, start
    other = yield x + step * slope, stop
    return x + step / 2 * (slope + other)


def rk4(x: State, start: float, stop: float) -> Asking[State]:
    """Fourth order, four evaluations (Kutta 1901)."""
    step, middle = stop - start, (start + stop) / 2
    one = yield x, start
    two = yield x + step / 2 * one, middle
    three = yield x + step / 2 * two, middle
    four = yield x + step * three, stop
    return x + step / 6 * (one + 2 * two + 2 * three + four)


SOLVERS: dict[str, Solver] = {"euler": euler, "heun": heun, "rk4": rk4}


def answer(
    several: Sequence[Asking[End]], slopes: Callable[[Mapping[int, tuple[State, float]]], Mapping[int, State]]
) -> list[End]:
    """The results of several that ask.

    Args:
        slopes: what is asked at the moment to its answers, by the number of who asks.
    """
    ends: dict[int, End] = {}
    asked = {number: next(one) for number, one in enumerate(several)}
    while asked:
        told, asked = slopes(asked), {}
        for number, slope in told.items():
            try:
                asked[number] = several[number].send(slope)
            except StopIteration as end:
                ends[number] = end.value
    return [ends[number] for number in range(len(several))]


def advance(step: Asking[End], field: Field) -> End:
    """The result of one that asks."""
    (end,) = answer([step], lambda asked: {0: field(*asked[0])})
    return end


def integrate(field: Field, x: State, times: Sequence[float], solver: Solver) -> State:
    """The state at the last of `times`, from that at the first; the times may fall."""
    for start, stop in pairwise(times):
        x = advance(solver(x, start, stop), field)
    return x
