"""How a flow goes from noise to pictures: when it stops, by which solver, and several on their way at once."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from daedal.models.image import Images, ImageSampling, Masks, Sketch, Sketches
from daedal.nn.guidance import ClassifierFree, Interval, guided
from daedal.nn.noise import Noise
from daedal.nn.ode import SOLVERS, Asking, Solver

_STEPS, SOLVER = 10, "heun"
_CHURNED_STEPS, _CHURNED_SOLVER = 60, "euler"
_RESAMPLE = 3  # times that a step of an edit is taken


class Told(NamedTuple):
    """What the network is told of labels, what says nothing, and how strongly the first is asked for."""

    asked: Tensor
    nothing: Tensor
    guidance: Interval


def slopes(
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor],
    told: Sequence[Told],
    asked: Mapping[int, tuple[Tensor, float]],
) -> dict[int, Tensor]:
    """The slopes at several states, each with its time and what the network is told; those that are guided alike are one
    batch."""
    alike: dict[float, list[int]] = {}
    for number, (_, time) in asked.items():
        alike.setdefault(told[number].guidance.strength(time), []).append(number)
    found: dict[int, Tensor] = {}
    for strength, numbers in alike.items():
        states = [asked[number][0] for number in numbers]
        moments = torch.cat(
            [x.new_full((len(x),), asked[number][1]) for number, x in zip(numbers, states, strict=True)]
        )

        def predict(x: Tensor, read: Tensor, moments: Tensor = moments) -> Tensor:
            return velocity(x, moments.repeat(len(x) // len(moments)), read)

        said = torch.cat([told[number].asked for number in numbers])
        nothing = torch.cat([told[number].nothing for number in numbers])
        answers = guided(predict, torch.cat(states), said, nothing, ClassifierFree(strength), 0.0)
        found |= zip(numbers, torch.split(answers, [len(x) for x in states]), strict=True)
    return found


class Course(Sketches):
    """Pictures on their way from noise.

    Args:
        abreast: takes the next step of several.
        x: where they begin.
    """

    def __init__(
        self,
        abreast: Callable[[Sequence["Course"]], list[Sketch[Tensor]]],
        told: Told,
        x: Images,
        noise: Noise,
        how: ImageSampling,
    ) -> None:
        self._abreast, self.told, self._x, self._noise, self._how = abreast, told, x, noise, how
        self._way, self._number = way(how), 0

    def __next__(self) -> Sketch[Tensor]:
        if self._number == len(self._way):
            raise StopIteration
        return self._abreast([self])[0]

    def step(self) -> Asking[Sketch[Tensor]]:
        """The next step, which asks for slopes."""
        now, after, solver = self._way[self._number]
        before, now = self._churned()
        self._x = x = yield from solver(before, now, after)
        self._number += 1
        # Where the flow would lead if it went straight on
        return Sketch(after, partial(torch.lerp, before, x, (1 - now) / (after - now)))

    def _churned(self) -> tuple[Tensor, float]:
        """The state with fresh noise for some of its own, and the earlier time that this takes it to (Karras et al. 2022,
        algorithm 2): errors that the network made before go with the noise that went, and it sees the rest anew. Before the
        way began there are none."""
        now, after, _ = self._way[self._number]
        earlier = max(self._way[0][0], now - (self._how.churn or 0.0) * (after - now))
        if earlier == now or after == 1.0:  # no step of size is left to take fresh noise away again
            return self._x, now
        fresh = self._how.scaled(self._noise.normal(f"churn {self._number}", *self._x.shape[1:]))
        return noisier(self._x, now, earlier, fresh), earlier


class EditCourse(Course):
    """Pictures on their way from noise whose known parts are held to what they are; see `Flow.editing`.

    While every pixel is held there is nothing to find out: the way begins when the first is free.

    Args:
        images: those that are edited.
        known: for how much of the way each pixel is held; with 1 it comes back as it is.
    """

    def __init__(
        self,
        abreast: Callable[[Sequence[Course]], list[Sketch[Tensor]]],
        told: Told,
        x: Images,
        noise: Noise,
        how: ImageSampling,
        images: Images,
        known: Masks,
    ) -> None:
        least = float(known.amin())
        self._from = least if least < 1 else 0.0  # where nothing is to be drawn, nothing depends on the way
        super().__init__(abreast, told, torch.lerp(x, images, self._from), noise, how)
        self._way = way(how, self._from)
        self._start, self._images, self._known = x, images, known
        self._taken, self._begin = 0, 0.0  # how often the step at hand was taken, and from when

    def step(self) -> Asking[Sketch[Tensor]]:
        """The next step, or the same once more."""
        now, after, solver = self._way[self._number]
        held = self._known.amax((1, 2, 3), keepdim=True) > now
        often = _RESAMPLE if bool(held.any()) and self._number < len(self._way) - 1 else 1
        if self._taken:
            fresh = self._how.scaled(self._noise.normal(f"edit {self._number} {self._taken}", *self._x.shape[1:]))
            before = noisier(self._x, after, self._begin, fresh)
        else:
            before, self._begin = self._churned()
        begin = self._begin
        before = torch.where(self._known > now, torch.lerp(self._start, self._images, begin), before)
        x = yield from solver(before, begin, after)
        # A picture that nothing holds takes its step once, whatever else is in the batch
        self._x = torch.where(held, x, self._x) if self._taken else x
        self._taken += 1
        done = now + (after - now) * self._taken / often
        if self._taken == often:
            self._number, self._taken, done = self._number + 1, 0, after
        done = (done - self._from) / (1 - self._from)
        return Sketch(done, partial(self._shown, before, self._x, (1 - begin) / (after - begin)))

    def _shown(self, before: Tensor, x: Tensor, on: float) -> Tensor:
        return torch.where(self._known >= 1, self._images, torch.lerp(before, x, on))


def times(how: ImageSampling) -> list[float]:
    """Where the solver stops on the way from noise to picture."""
    steps = how.steps or (_CHURNED_STEPS if how.churn else _STEPS)
    return [step / steps for step in range(steps + 1)]


def fine_times(steps: int) -> list[float]:
    """Times that lie the closer the nearer the picture is: there the density of a value's narrow width builds up, and even
    steps of Heun's as many as 25 would flatter a picture by 0.16 bits per dimension."""
    rest = 0.02
    return [1 + rest - (1 + rest) * (rest / (1 + rest)) ** (step / steps) for step in range(steps)] + [1.0]


def way(how: ImageSampling, begin: float = 0.0) -> list[tuple[float, float, Solver]]:
    """The steps from noise, or from `begin` on, to picture: from when, to when and how. The last of Heun's is Euler's (Karras
    et al. 2022): a slope at the picture itself is mostly error, and leaves grain."""
    solver = how.solver or (_CHURNED_SOLVER if how.churn else SOLVER)
    stops = [begin, *(time for time in times(how) if time > begin)]
    steps = [(now, after, SOLVERS[solver]) for now, after in pairwise(stops)]
    if solver == "heun":
        steps[-1] = (*steps[-1][:2], SOLVERS["euler"])
    return steps


def noisier(x: Tensor, time: float, earlier: float, fresh: Tensor) -> Tensor:
    """A state of an earlier time that could have led to `x`: shrunk, with fresh noise for what is then missing."""
    share = earlier / time
    return share * x + math.sqrt((1 - earlier) ** 2 - (share * (1 - time)) ** 2) * fresh
