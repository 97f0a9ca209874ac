"""How long a run is and how fast it learns, both reviewed as the machine shows its speed.

- a number that is decided as a run goes, by its clock, is written down with its step, so that a run that was killed and resumed
  decides the same again at the same steps, and comes to the same bits
- the learning rate is a function of the fraction of the budget used, so that every run ends annealed: warm-up, a constant
  stretch, then a linear cooldown to nothing (the trapezoid of Hägele et al. 2024, arXiv:2405.18392)
"""

from bisect import bisect_right
from collections.abc import Iterable


class Decisions:
    """A number that is decided anew as a run goes.

    Args:
        first: what holds from the beginning.
        later: pairs of (step, what holds from then on) that were decided before.
    """

    def __init__(self, first: int, later: Iterable[tuple[int, int]] = ()) -> None:
        self.all = [(0, first), *sorted(later)]

    def at(self, step: int) -> int:
        """What holds at `step`."""
        return self.all[bisect_right(self.all, step, key=lambda decision: decision[0]) - 1][1]

    def open(self, step: int) -> bool:
        """Whether nothing has been decided yet for `step` or later."""
        return step > self.all[-1][0]

    def decide(self, step: int, value: int) -> None:
        """From `step` on it is `value`."""
        self.all.append((step, value))


class Horizon(Decisions):
    """The planned number of steps, as a function of the step at which one asks.

    Args:
        steps: the plan's number.
        reviews: pairs of (step, steps from then on) that were decided before.
    """

    def __init__(self, steps: int, reviews: Iterable[tuple[int, int]] = ()) -> None:
        super().__init__(steps, reviews)

    def fraction(self, step: int) -> float:
        """The share of the run that is done when `step` steps are. A review changes how fast it grows from there on, and not
        where it is, so that no schedule jumps."""
        done, reached = 0.0, 0
        for index, (begin, steps) in enumerate(self.all):
            if begin >= step:
                break
            later = self.all[index + 1][0] if index + 1 < len(self.all) else step
            end = min(step, later)
            done += (1 - done) * min(1.0, (end - reached) / max(1, steps - reached))
            reached = end
        return min(1.0, done)


def is_review(step: int, steps: int) -> bool:
    """Reviews come early, when little is known, then at every twentieth of the run."""
    return step in (10, 20, 40) or step % max(10, steps // 20) == 0


def trapezoid(begin: float, end: float, warmup: float, cooldown: float) -> float:
    """The factor on the peak learning rate for one step. Each of a run's steps learns: the factor would be 0 for a step before
    the first, and for one after the last.

    Args:
        begin: how much of the run is done before the step, 0 to 1.
        end: how much is done after it.
        warmup: the share of the run over which the factor rises from 0 to 1.
        cooldown: the share of the run over which it falls from 1 to 0.
    """
    rising = 1.0 if warmup <= 0 else min(1.0, end / warmup)
    falling = 1.0 if cooldown <= 0 else min(1.0, (1.0 - begin) / cooldown)
    return max(0.0, min(rising, falling))
