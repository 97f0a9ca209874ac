"""How many steps a run will have. With a time budget that is an estimate, reviewed as the machine shows its speed."""

from collections.abc import Iterable

from daedal.training.decisions import Decisions


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
