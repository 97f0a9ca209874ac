"""How many steps a run will have. With a time budget that is an estimate, reviewed as the machine shows its speed.

Each review is written down with its step, so that a run that was killed and resumed takes the same decisions again.
"""

from bisect import bisect_right
from collections.abc import Iterable


class Horizon:
    """The planned number of steps, as a function of the step at which one asks.

    Args:
        steps: the plan's number.
        reviews: pairs of (step, steps from then on) that were decided before.
    """

    def __init__(self, steps: int, reviews: Iterable[tuple[int, int]] = ()) -> None:
        self._reviews = [(0, steps), *sorted(reviews)]

    def at(self, step: int) -> int:
        """The number of steps that holds at `step`."""
        return self._reviews[bisect_right(self._reviews, step, key=lambda review: review[0]) - 1][1]

    def fraction(self, step: int) -> float:
        """The share of the run that is done when `step` steps are. A review changes how fast it grows from there on, and not
        where it is, so that no schedule jumps."""
        done, reached = 0.0, 0
        for index, (begin, steps) in enumerate(self._reviews):
            if begin >= step:
                break
            later = self._reviews[index + 1][0] if index + 1 < len(self._reviews) else step
            end = min(step, later)
            done += (1 - done) * min(1.0, (end - reached) / max(1, steps - reached))
            reached = end
        return min(1.0, done)

    def open(self, step: int) -> bool:
        """Whether nothing has been decided yet for later than `step`."""
        return step > self._reviews[-1][0]

    def decide(self, step: int, steps: int) -> None:
        """From `step` on the run has `steps` steps."""
        self._reviews.append((step, steps))


def is_review(step: int, steps: int) -> bool:
    """Reviews come early, when little is known, then at every twentieth of the run."""
    return step in (10, 20, 40) or step % max(10, steps // 20) == 0
