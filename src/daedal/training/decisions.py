"""What is decided while a run goes, by its clock: written down with its step, so that a run that was killed and resumed decides
the same again at the same steps, and comes to the same bits."""

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
