"""How many CPU threads a run computes with: chosen when it is planned, and tried again as it goes.

Other work on the machine comes and goes, and two threads of which one must wait for a busy core can be slower than one alone.
So at some reviews a few steps run with other numbers of threads, and the number that is clearly faster stays. The steps count
like all others. Sums in another order are other bits, so every change is written down with its step and a resume repeats it.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

import torch

from daedal.training.schedule import Decisions

_TRIAL_SECONDS = 0.3  # of steps with each number
_CLEARLY = 0.9  # of the time that a step takes now
_SLOWER = 1.25  # times as long as after the last trial: something has changed
_PATIENCE = 4  # reviews, at most, from one trial to the next where more threads could be had


class Threads(Decisions):
    """The number of threads, as a function of the step.

    Args:
        first: the plan's number.
        choices: the numbers to try; one or none where there is nothing to choose.
        decided: pairs of (step, threads from then on) that were decided before.
    """

    def __init__(self, first: int, choices: Sequence[int], decided: Iterable[tuple[int, int]] = ()) -> None:
        super().__init__(first, decided)
        self._choices = choices
        self._now = first  # what was used before the trial
        self._untried: list[int] = []
        self._tried: dict[int, list[float]] = {}  # seconds of the steps of a trial, by number of threads
        self._reviews, self._patience = 0, 1
        self._usual = math.inf  # seconds that a step took when last judged

    def apply(self, step: int) -> None:
        """Have PyTorch use the number that holds at `step`."""
        if torch.get_num_threads() != self.at(step):
            torch.set_num_threads(self.at(step))

    def review(self, step: int, seconds_per_step: float) -> None:
        """Begin a trial, where it is time for one.

        It is at the first review, and whenever steps take longer; with fewer threads than there could be also at every review,
        then more and more seldom while nothing changes: that a core has become free does not show otherwise.
        """
        if len(self._choices) < 2 or self._tried or not self.open(step):
            return
        now = self.at(step)
        self._reviews += now < max(self._choices)
        tried = math.isfinite(self._usual)
        if tried and self._reviews < self._patience and seconds_per_step < _SLOWER * self._usual:
            return
        self._now = now
        self._untried = [*(choice for choice in self._choices if choice != now), now]
        self._try_next(step)

    def count(self, step: int, seconds: float) -> None:
        """The step before `step` took `seconds`. The last one of a trial ends it."""
        if not self._tried:
            return
        times = self._tried[self.at(step - 1)]
        times.append(seconds)
        if sum(times) < _TRIAL_SECONDS * (1 if len(times) > 2 else 2):  # the first step after a change starts threads
            return
        if self._untried:
            self._try_next(step)
            return
        taken = {threads: fmean(times[1:] or times) for threads, times in self._tried.items()}
        best = min(taken, key=taken.__getitem__)
        if taken[best] < _CLEARLY * taken[self._now]:
            self.decide(step, best)
            self._patience = 1
        else:
            best = self._now
            self._patience = min(_PATIENCE, 2 * self._patience)
        self._usual, self._reviews, self._tried = taken[best], 0, {}

    def _try_next(self, step: int) -> None:
        threads = self._untried.pop(0)
        self._tried[threads] = []
        self.decide(step, threads)
